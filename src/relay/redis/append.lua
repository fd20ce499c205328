-- Appends the entries whose event is not in the stream yet, trims the stream, and keeps the record of
-- the relay, if it is given: then, and without entries, it replies with those of all, as they were before.
-- A relay gives the number that the counter had after its last call. If it is lower now, the stream has lost entries, as
-- when Redis was restored: then nothing is appended, and the reply says so, with the records that are left.
-- KEYS: stream, ids, counter, relays, call. ARGV: the number of the call, whether it is repeated, whether to
-- check rights, for how long to keep the reply; the name of the relay and its record; the bounds of length and age;
-- the number; then id, time, kind and body of each entry. What is not given is empty.
local stream, ids, counter, relays, call = unpack(KEYS)
local number_of_call, is_repeated, check, keep, relay, record, max_length, max_age, known = unpack(ARGV, 1, 9)
local ENTRIES = 10
-- What a script has done until it is refused something stays: so nothing is done unless everything may be. Rights
-- that are withdrawn between two checks may stop it anywhere: so an id is known only once its entry is there.
for _, command in ipairs(check == '0' and {} or {{'TIME'}, {'GET', counter}, {'SET', counter, 0}, {'ZSCORE', ids, ''},
  {'ZADD', ids, 0, ''}, {'XADD', stream, '*', 'v', '1'}, {'XTRIM', stream, 'MAXLEN', 1}, {'ZREMRANGEBYRANK', ids, 0, 0},
  {'ZREMRANGEBYSCORE', ids, 0, 0}, {'HGETALL', relays}, {'HSET', relays, '', ''}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = (record ~= '' or #ARGV < ENTRIES) and redis.call('HGETALL', relays) or {}
local earlier = is_repeated == '1' and string.match(redis.call('GET', call) or '', '^' .. number_of_call .. ' (.*)$')
if earlier then
  -- The reply to this call was lost.
  return {tonumber(earlier), (#ARGV + 1 - ENTRIES) / 4 - tonumber(earlier), string.format('%.0f', now), before, tonumber(redis.call('GET', counter) or '0'), 0}
end
local first = tonumber(redis.call('GET', counter) or '0')
if known ~= '' and first < tonumber(known) then
  return {0, 0, string.format('%.0f', now), redis.call('HGETALL', relays), first, 1}
end
local function trim()
  if max_length ~= '' then
    redis.call('XTRIM', stream, 'MAXLEN', '~', max_length)
    redis.call('ZREMRANGEBYRANK', ids, 0, -1 - max_length)
  end
  if max_age ~= '' then
    local oldest = now - max_age
    redis.call('XTRIM', stream, 'MINID', '~', string.format('%.0f', oldest))
    redis.call('ZREMRANGEBYSCORE', ids, '-inf', string.format('(%.0f', oldest))
  end
end
local number, repeated = first, 0
-- A relay's events that were appended by an earlier attempt are recognised, and need no reply that is kept.
local is_kept = relay == ''
for at = ENTRIES, #ARGV, 4 do
  local id = ARGV[at]
  -- An event without an id cannot be recognised.
  if id == '' or not redis.call('ZSCORE', ids, id) then
    local added = redis.pcall('XADD', stream, '*', 'v', '1', 'n', number + 1, 'at', ARGV[at + 1], 'kind', ARGV[at + 2],
      'by', relay, 'id', id, 'body', ARGV[at + 3])
    if type(added) == 'table' then
      -- Redis is full: what has expired makes room for the next attempt.
      trim()
      return added
    end
    number = number + 1
    if id == '' then is_kept = true else redis.call('ZADD', ids, now, id) end
  else
    repeated = repeated + 1
  end
end
if number > first then
  redis.call('SET', counter, number)
  if is_kept then redis.call('SET', call, number_of_call .. ' ' .. (number - first), 'PX', keep) end
end
-- A stream is trimmed by whole nodes, which have a hundred entries: more often is of no use.
if number == first or math.floor(number / 100) > math.floor(first / 100) then trim() end
if record ~= '' then
  redis.call('HSET', relays, relay, record)
end
return {number - first, repeated, string.format('%.0f', now), before, number, 0}
