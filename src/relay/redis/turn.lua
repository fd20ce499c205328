#!lua flags=allow-oom
-- One turn of a worker: ends a delivery, takes in new entries, returns what is overdue, and hands out. It may
-- also run while Redis is full: a group needs little, and only workers that go on can let the stream shrink.
-- KEYS: stream, counter, groups, group, ready, flight, delayed, tries, bodies, dead, call. ARGV: the number of the call,
-- whether it is repeated, whether to check rights, for how long to keep the reply, the prefix of the lists of waiting
-- entries, the turn as JSON.
--
-- A member is 'id|key'. `ready` has those to be handed out. Of each key only the first of its list is in
-- `ready`, `flight` or `delayed`; the next one follows when it has ended. `flight` is ordered by the end of
-- the lease, `delayed` by the time of the next attempt. `bodies` has what is not in the stream: gaps, whose
-- ids begin with g, and dead letters that were returned, with d.
local stream, counter, groups, group, ready, flight, delayed, tries, bodies, dead, call = unpack(KEYS)
local number_of_call, is_repeated, check, keep, prefix = unpack(ARGV)
local turn = cjson.decode(ARGV[6])
-- What a script has done until it is refused something stays: so nothing is done unless everything may be. Rights
-- that are withdrawn between two checks may stop it anywhere: so nothing is removed from one place before it is in the next,
-- and an entry is handed out twice rather than not at all.
for _, command in ipairs(check == '0' and {} or {{'TIME'}, {'GET', counter}, {'SET', call, 0}, {'DEL', ready}, {'XADD', dead, '*', 'entry', ''},
  {'XRANGE', stream, '-', '+'}, {'XREVRANGE', stream, '+', '-'}, {'HMGET', group, 'open'}, {'HGET', tries, ''},
  {'HSET', group, 'open', 0}, {'HSET', groups, '', ''}, {'HDEL', tries, ''}, {'RPUSH', ready, ''}, {'LPUSH', ready, ''}, {'LPOP', ready},
  {'LINDEX', ready, 0}, {'ZADD', flight, 0, ''}, {'ZREM', flight, ''}, {'ZSCORE', flight, ''}, {'ZRANGE', flight, 0, 0},
  {'ZRANGEBYSCORE', flight, 0, 0}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end

-- What the group has counted; what has changed is saved once, at the end.
local counts = {'seen', 'open', 'handled', 'retried', 'expired', 'dead'}
local found = redis.call('HMGET', group, 'cursor', 'created', unpack(counts))
local is_changed = {}
local cursor, created, count = found[1], found[2], {}
for at, name in ipairs(counts) do count[name] = tonumber(found[at + 2] or '0') end
local is_new = not cursor
if is_new then
  if not turn.create then return {'missing'} end
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  cursor, created, count.seen = '0-0', whole(now), tonumber(redis.call('GET', counter) or '0')
  if turn.newest then
    if last then cursor = last[1] end
  else
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    -- The entries before it were never this group's.
    if first and first[2][3] == 'n' then count.seen = (tonumber(first[2][4]) or 1) - 1 end
  end
  redis.call('DEL', ready, flight, delayed, tries, bodies)
  redis.call('HSET', groups, turn.create, created)
  for _, name in ipairs(counts) do is_changed[name] = true end
end
-- An earlier group of this name may have left lists, which must not hold these keys up.
local lists = prefix .. created .. ':'
local function set(name, number) count[name], is_changed[name] = number, true end
local function add(name, number) set(name, count[name] + number) end

local taken = {}
local function hand_out(member, attempt)
  redis.call('HSET', tries, member, attempt .. ' ' .. turn.worker)
  redis.call('ZADD', flight, whole(now + turn.lease), member)
  taken = {member, attempt}
end

-- If nothing is ready, what is taken in first is handed out.
local is_hungry = false
local function push(member, id, key)
  if is_hungry and (key == '' or not redis.call('LINDEX', lists .. key, 0)) then
    is_hungry = false
    hand_out(member, 1)
    if key ~= '' then redis.call('RPUSH', lists .. key, id) end
  elseif key == '' or redis.call('RPUSH', lists .. key, id) == 1 then
    redis.call('RPUSH', ready, member)
  end
  add('open', 1)
end

-- A gap that only this group sees.
local function lose(id, missing)
  redis.call('HSET', bodies, id, cjson.encode({'v', '1', 'n', '0', 'at', whole(now), 'kind', 'lost', 'by', '',
    'id', '', 'body', whole(missing)}))
  push(id .. '|', id, '')
end
if is_new and turn.vanished then lose('g' .. created, -1) end

local function has_body(id) return string.find(id, '^[gd]') end

-- What was read in this turn.
local read = {}

local function fields_of(id)
  if read[id] then return read[id] end
  if has_body(id) then
    local body = redis.call('HGET', bodies, id)
    return body and cjson.decode(body) or {}
  end
  local entry = redis.call('XRANGE', stream, id, id)[1]
  return entry and entry[2] or {}
end

local function close(member, id, key)
  redis.call('HDEL', tries, member)
  if has_body(id) then redis.call('HDEL', bodies, id) end
  -- One that was handed out twice may have ended before.
  set('open', math.max(0, count.open - 1))
  if key ~= '' and redis.call('LINDEX', lists .. key, 0) == id then
    local following = redis.call('LINDEX', lists .. key, 1)
    if following then redis.call('RPUSH', ready, following .. '|' .. key) end
    redis.call('LPOP', lists .. key)
  end
end

local function bury(member, id, key, attempts, worker, why)
  redis.call('XADD', dead, 'MAXLEN', '~', turn.max_dead, '*', 'entry', id, 'key', key, 'attempts', attempts, 'worker', worker,
    'error', why, 'fields', cjson.encode(fields_of(id)))
  add('dead', 1)
  close(member, id, key)
end

local function split(member) return string.match(member, '^([^|]*)|(.*)$') end

local function tried(member)
  local attempt, worker = string.match(redis.call('HGET', tries, member) or '0 ', '^(%d+) (.*)$')
  return tonumber(attempt), worker
end

local earlier = is_repeated == '1' and string.match(redis.call('GET', call) or '', '^' .. number_of_call .. ' (.*)$')
if earlier then
  -- The reply to this turn was lost: what it has handed out is this worker's.
  local ended, attempt, member = string.match(earlier, '^(%d) (%d+) (.*)$')
  if tried(member) == tonumber(attempt) and redis.call('ZSCORE', flight, member) then
    taken = {member, attempt, fields_of(split(member))}
  end
  return {'ok', ended, taken, cursor, '0', count.open}
end

local finish, ended = turn.finish, 1
if finish then
  local member = finish.member
  local attempt, worker = tried(member)
  -- Another worker may have taken it over since.
  if attempt == finish.attempt and redis.call('ZSCORE', flight, member) then
    local id, key = split(member)
    if finish.verdict == 'extend' then
      redis.call('ZADD', flight, whole(now + finish.delay), member)
    elseif finish.verdict == 'ack' then
      add('handled', 1)
      close(member, id, key)
    elseif finish.verdict == 'retry' and attempt < finish.attempts then
      add('retried', 1)
      redis.call('ZADD', delayed, whole(now + finish.delay), member)
    else
      bury(member, id, key, attempt, worker, finish.why)
    end
    if finish.verdict ~= 'extend' then redis.call('ZREM', flight, member) end
  else
    ended = 0
  end
end

-- Takes in what follows the cursor. A number that is missing is an entry that was lost.
local function take_in(keys)
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. cursor, '+', 'COUNT', turn.look_ahead)) do
    local id, fields = entry[1], entry[2]
    read[id] = fields
    local key = ''
    if keys then
      key = keys[id]
      if not key then break end
    end
    local number = fields[3] == 'n' and tonumber(fields[4])
    if number then
      local missing = number - count.seen - 1
      if missing ~= 0 then lose('g' .. id, missing) end
      set('seen', number)
    end
    push(id .. '|' .. key, id, key)
    cursor = id
  end
end

if turn.take then
  -- The last one first, because each goes to the front.
  local overdue = redis.call('ZRANGEBYSCORE', flight, '-inf', whole(now), 'LIMIT', 0, 100)
  for at = #overdue, 1, -1 do
    local member = overdue[at]
    local attempt, worker = tried(member)
    local id, key = split(member)
    add('expired', 1)
    if attempt >= turn.attempts then
      bury(member, id, key, attempt, worker, 'its worker did not finish it within its lease')
    else
      redis.call('LPUSH', ready, member)
    end
    redis.call('ZREM', flight, member)
  end
  overdue = redis.call('ZRANGEBYSCORE', delayed, '-inf', whole(now), 'LIMIT', 0, 100)
  for at = #overdue, 1, -1 do
    local member = overdue[at]
    redis.call('LPUSH', ready, member)
    redis.call('ZREM', delayed, member)
  end
  local member = redis.call('LINDEX', ready, 0)
  if member then
    hand_out(member, tried(member) + 1)
    redis.call('LPOP', ready)
  end
  is_hungry = not member
end
-- The workers find out the keys; whoever comes first with those of the next entries has them taken in.
local route = turn.route
if count.open < turn.max_open then
  if route and route.after == cursor then take_in(route.keys) end
  if is_hungry and not turn.ordered then take_in() end
end
local due = -1
if taken[1] then
  taken[3] = fields_of(split(taken[1]))
elseif turn.take then
  for _, set in ipairs({flight, delayed}) do
    local score = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if score and (due < 0 or score - now < due) then due = math.max(0, score - now) end
  end
end
local saved = {}
local function save(name, value)
  saved[#saved + 1] = name
  saved[#saved + 1] = value
end
for name in pairs(is_changed) do save(name, whole(count[name])) end
if cursor ~= found[1] then save('cursor', cursor) end
if is_new then save('created', created) end
if saved[1] then redis.call('HSET', group, unpack(saved)) end
if finish or taken[1] then
  redis.call('SET', call, number_of_call .. ' ' .. ended .. ' ' .. (taken[2] or 0) .. ' ' .. (taken[1] or ''), 'PX', keep)
end
return {'ok', ended, taken, cursor, whole(due), count.open}
