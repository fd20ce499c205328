#!lua flags=allow-oom
-- One turn of a worker: ends deliveries, takes in new entries, returns what is overdue, and hands out. It may
-- also run while Redis is full: a group needs little, and only workers that go on can let the stream shrink.
-- KEYS: stream, counter, group, ready, flight, delayed, tries, bodies, dead, call. ARGV: the prefix of the
-- lists of waiting entries, the turn as JSON.
--
-- A member is 'id|key'. `ready` has those to be handed out. Of each key only the first of its list is in
-- `ready`, `flight` or `delayed`; the next one follows when it has ended. `flight` is ordered by the end of
-- the lease, `delayed` by the time of the next attempt. `bodies` has what is not in the stream.
local stream, counter, group, ready, flight, delayed, tries, bodies, dead, call = unpack(KEYS)
local turn = cjson.decode(ARGV[2])
-- What a script has done until it is refused something stays: so nothing is done unless everything may be.
for _, command in ipairs({{'TIME'}, {'GET', counter}, {'SET', call, 0}, {'DEL', ready}, {'XADD', dead, '*', 'entry', ''},
  {'XRANGE', stream, '-', '+'}, {'XREVRANGE', stream, '+', '-'}, {'HMGET', group, 'open'}, {'HGET', tries, ''},
  {'HSET', group, 'open', 0}, {'HDEL', tries, ''}, {'HINCRBY', group, 'open', 1}, {'RPUSH', ready, ''}, {'LPUSH', ready, ''},
  {'LPOP', ready}, {'LINDEX', ready, 0}, {'LLEN', ready}, {'ZADD', flight, 0, ''}, {'ZREM', flight, ''}, {'ZSCORE', flight, ''},
  {'ZRANGE', flight, 0, 0}, {'ZRANGEBYSCORE', flight, 0, 0}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end

local state = redis.call('HMGET', group, 'cursor', 'seen', 'open', 'created')
local cursor, seen, open, created = state[1], state[2], tonumber(state[3] or '0'), state[4]
if not cursor then
  if not turn.create then return {'missing'} end
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  cursor, seen = '0-0', tonumber(redis.call('GET', counter) or '0')
  if turn.newest then
    if last then cursor = last[1] end
  else
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    -- The entries before it were never this group's.
    if first and first[2][3] == 'n' then seen = (tonumber(first[2][4]) or 1) - 1 end
  end
  created = whole(now)
  redis.call('HSET', group, 'cursor', cursor, 'seen', whole(seen), 'created', created)
  redis.call('DEL', ready, flight, delayed, tries, bodies)
end
-- An earlier group of this name may have left lists, which must not hold these keys up.
local lists = ARGV[1] .. created .. ':'

local function push(member, id, key)
  if key == '' or redis.call('RPUSH', lists .. key, id) == 1 then
    redis.call('RPUSH', ready, member)
  end
end

-- A gap that only this group sees.
local function lose(id, missing)
  redis.call('HSET', bodies, id, cjson.encode({'v', '1', 'n', '0', 'at', whole(now), 'kind', 'lost', 'by', '',
    'id', '', 'body', whole(missing)}))
  push(id .. '|', id, '')
  open = redis.call('HINCRBY', group, 'open', 1)
end
if not state[1] and turn.vanished then lose('g' .. created, -1) end

local function fields_of(id)
  local body = redis.call('HGET', bodies, id)
  if body then return cjson.decode(body) end
  local found = redis.call('XRANGE', stream, id, id)[1]
  return found and found[2]
end

local function close(member, id, key)
  redis.call('HDEL', tries, member)
  redis.call('HDEL', bodies, id)
  open = redis.call('HINCRBY', group, 'open', -1)
  if key ~= '' then
    redis.call('LPOP', lists .. key)
    local following = redis.call('LINDEX', lists .. key, 0)
    if following then redis.call('RPUSH', ready, following .. '|' .. key) end
  end
end

local function bury(member, id, key, attempts, worker, why)
  local fields = fields_of(id) or {}
  redis.call('XADD', dead, 'MAXLEN', '~', turn.max_dead, '*', 'entry', id, 'key', key, 'attempts', attempts, 'worker', worker,
    'error', why, 'fields', cjson.encode(fields))
  redis.call('HINCRBY', group, 'dead', 1)
  close(member, id, key)
end

local function split(member) return string.match(member, '^([^|]*)|(.*)$') end

local function tried(member)
  local attempt, worker = string.match(redis.call('HGET', tries, member) or '0 ', '^(%d+) (.*)$')
  return tonumber(attempt), worker
end

local earlier = redis.call('GET', call)
if earlier then
  -- The reply to this turn was lost: what it has handed out is this worker's.
  local reply, taken = cjson.decode(earlier), {}
  for _, one in ipairs(reply.taken) do
    local member, attempt = one[1], one[2]
    if tried(member) == attempt and redis.call('ZSCORE', flight, member) then
      taken[#taken + 1] = {member, attempt, fields_of(split(member)) or {}}
    end
  end
  return {'ok', reply.ended, taken, {}, cursor, '0', open}
end

local ended = {}
for at, finish in ipairs(turn.finish) do
  local member = finish.member
  local attempt, worker = tried(member)
  -- Another worker may have taken it over since.
  if attempt == finish.attempt and redis.call('ZSCORE', flight, member) then
    local id, key = split(member)
    if finish.verdict == 'extend' then
      redis.call('ZADD', flight, whole(now + finish.delay), member)
    else
      redis.call('ZREM', flight, member)
      if finish.verdict == 'ack' then
        redis.call('HINCRBY', group, 'handled', 1)
        close(member, id, key)
      elseif finish.verdict == 'retry' and attempt < turn.attempts then
        redis.call('HINCRBY', group, 'retried', 1)
        redis.call('ZADD', delayed, whole(now + finish.delay), member)
      else
        bury(member, id, key, attempt, worker, finish.why)
      end
    end
    ended[at] = 1
  else
    ended[at] = 0
  end
end

-- Takes in what follows the cursor. A number that is missing is an entry that was lost.
local function take_in(count, keys)
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. cursor, '+', 'COUNT', count)) do
    local id, fields = entry[1], entry[2]
    local key = ''
    if keys then
      key = keys[id]
      if not key then break end
    end
    local number = fields[3] == 'n' and tonumber(fields[4])
    if number then
      local missing = number - seen - 1
      if missing ~= 0 then lose('g' .. id, missing) end
      seen = number
    end
    push(id .. '|' .. key, id, key)
    open = redis.call('HINCRBY', group, 'open', 1)
    cursor = id
  end
  redis.call('HSET', group, 'cursor', cursor, 'seen', whole(seen))
end

-- The workers find out the keys; whoever comes first with those of the next entries has them taken in.
local route = turn.route
if route and route.after == cursor and open < turn.max_open then take_in(turn.look_ahead, route.keys) end

-- The last one first, because each goes to the front.
local overdue = redis.call('ZRANGEBYSCORE', flight, '-inf', whole(now), 'LIMIT', 0, 100)
for at = #overdue, 1, -1 do
  local member = overdue[at]
  local attempt, worker = tried(member)
  local id, key = split(member)
  redis.call('ZREM', flight, member)
  redis.call('HINCRBY', group, 'expired', 1)
  if attempt >= turn.attempts then
    bury(member, id, key, attempt, worker, 'its worker did not finish it within its lease')
  else
    redis.call('LPUSH', ready, member)
  end
end
overdue = redis.call('ZRANGEBYSCORE', delayed, '-inf', whole(now), 'LIMIT', 0, 100)
for at = #overdue, 1, -1 do
  local member = overdue[at]
  redis.call('ZREM', delayed, member)
  redis.call('LPUSH', ready, member)
end

if not turn.ordered and open < turn.max_open and redis.call('LLEN', ready) < turn.take then
  take_in(turn.look_ahead)
end

local taken = {}
for at = 1, turn.take do
  local member = redis.call('LPOP', ready)
  if not member then break end
  local id = split(member)
  local attempt = tried(member) + 1
  redis.call('HSET', tries, member, attempt .. ' ' .. turn.worker)
  redis.call('ZADD', flight, whole(now + turn.lease), member)
  taken[at] = {member, attempt, fields_of(id) or {}}
end
if #ended > 0 or #taken > 0 then
  local handed = {}
  for at, one in ipairs(taken) do handed[at] = {one[1], one[2]} end
  redis.call('SET', call, cjson.encode({ended = ended, taken = handed}), 'PX', turn.keep)
end

local unread, due = {}, -1
if #taken < turn.take then
  if turn.ordered and open < turn.max_open then
    unread = redis.call('XRANGE', stream, '(' .. cursor, '+', 'COUNT', turn.look_ahead)
  end
  for _, set in ipairs({flight, delayed}) do
    local score = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if score and (due < 0 or score - now < due) then due = math.max(0, score - now) end
  end
end
return {'ok', ended, taken, unread, cursor, whole(due), open}
