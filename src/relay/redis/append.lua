-- Appends the entries whose event is not in the stream yet, trims the stream, and keeps the record of
-- the relay. KEYS: stream, ids, counter, relays, call. ARGV: the number of the call, whether to
-- check rights, options as JSON, then id, time, kind and body of each entry.
local stream, ids, counter, relays, call = unpack(KEYS)
local options = cjson.decode(ARGV[3])
-- What a script has done until it is refused something stays: so nothing is done unless everything may be. Rights
-- that are withdrawn between two checks may stop it anywhere: so an id is known only once its entry is there.
for _, command in ipairs(ARGV[2] == '0' and {} or {{'TIME'}, {'GET', counter}, {'SET', counter, 0}, {'ZSCORE', ids, ''}, {'ZADD', ids, 0, ''}, {'XADD', stream, '*', 'v', '1'},
  {'XTRIM', stream, 'MAXLEN', 1}, {'ZREMRANGEBYRANK', ids, 0, 0}, {'ZREMRANGEBYSCORE', ids, 0, 0}, {'HGETALL', relays},
  {'HSET', relays, '', ''}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGETALL', relays)
local number = tonumber(redis.call('GET', counter) or '0')
local added, repeated = 0, 0
local earlier = string.match(redis.call('GET', call) or '', '^' .. ARGV[1] .. ' (.*)$')
if earlier then
  -- The reply to this call was lost.
  return {tonumber(earlier), (#ARGV - 3) / 4 - tonumber(earlier), string.format('%.0f', now), before}
end
for at = 4, #ARGV, 4 do
  local id = ARGV[at]
  -- An event without an id cannot be recognised.
  if id == '' or not redis.call('ZSCORE', ids, id) then
    number = number + 1
    added = added + 1
    redis.call('XADD', stream, '*', 'v', '1', 'n', number, 'at', ARGV[at + 1], 'kind', ARGV[at + 2],
      'by', options.relay, 'id', id, 'body', ARGV[at + 3])
    if id ~= '' then redis.call('ZADD', ids, now, id) end
  else
    repeated = repeated + 1
  end
end
if added > 0 then
  redis.call('SET', counter, number)
  redis.call('SET', call, ARGV[1] .. ' ' .. added, 'PX', options.keep)
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
