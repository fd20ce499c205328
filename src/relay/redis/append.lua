-- Appends the entries whose event is not in the stream yet, trims the stream, and keeps the record of
-- the relay. KEYS: stream, ids, counter, relays, call. ARGV: options as JSON, then id, time, kind and body of
-- each entry.
local stream, ids, counter, relays, call = unpack(KEYS)
local options = cjson.decode(ARGV[1])
-- What a script has done until it is refused something stays: so nothing is done unless everything may be.
for _, command in ipairs({{'TIME'}, {'GET', counter}, {'SET', counter, 0}, {'ZADD', ids, 0, ''}, {'XADD', stream, '*', 'v', '1'},
  {'XTRIM', stream, 'MAXLEN', 1}, {'ZREMRANGEBYRANK', ids, 0, 0}, {'ZREMRANGEBYSCORE', ids, 0, 0}, {'HGETALL', relays},
  {'HSET', relays, '', ''}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGETALL', relays)
local number = tonumber(redis.call('GET', counter) or '0')
local added, repeated = 0, 0
local earlier = redis.call('GET', call)
if earlier then
  -- The reply to this call was lost.
  return {tonumber(earlier), (#ARGV - 1) / 4 - tonumber(earlier), string.format('%.0f', now), before}
end
for at = 2, #ARGV, 4 do
  local id = ARGV[at]
  -- An event without an id cannot be recognised.
  if id == '' or redis.call('ZADD', ids, 'NX', now, id) == 1 then
    number = number + 1
    added = added + 1
    redis.call('XADD', stream, '*', 'v', '1', 'n', number, 'at', ARGV[at + 1], 'kind', ARGV[at + 2],
      'by', options.relay, 'id', id, 'body', ARGV[at + 3])
  else
    repeated = repeated + 1
  end
end
if added > 0 then
  redis.call('SET', counter, number)
  redis.call('SET', call, added, 'PX', options.keep)
  if options.max_length then
    redis.call('XTRIM', stream, 'MAXLEN', '~', options.max_length)
    redis.call('ZREMRANGEBYRANK', ids, 0, -1 - options.max_length)
  end
end
if options.max_age then
  local oldest = now - options.max_age
  redis.call('XTRIM', stream, 'MINID', '~', string.format('%.0f', oldest))
  redis.call('ZREMRANGEBYSCORE', ids, '-inf', string.format('(%.0f', oldest))
end
if options.record then
  redis.call('HSET', relays, options.relay, options.record)
end
return {added, repeated, string.format('%.0f', now), before}
