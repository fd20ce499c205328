-- Returns a dead letter to its group. KEYS: group, ready, bodies, dead. ARGV: the prefix of the lists of
-- waiting entries, the id of the dead letter.
local group, ready, bodies, dead = unpack(KEYS)
-- What a script has done until it is refused something stays: so nothing is done unless everything may be.
for _, command in ipairs({{'XRANGE', dead, '-', '+'}, {'XDEL', dead, '0-1'}, {'HSET', bodies, '', ''}, {'HGET', group, ''},
  {'HINCRBY', group, 'open', 1}, {'RPUSH', ready, ''}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local found = redis.call('XRANGE', dead, ARGV[2], ARGV[2])[1]
if not found then return 0 end
local fields = {}
for at = 1, #found[2], 2 do fields[found[2][at]] = found[2][at + 1] end
local id, key = 'd' .. ARGV[2], fields.key or ''
redis.call('HSET', bodies, id, fields.fields or '{}')
redis.call('HINCRBY', group, 'open', 1)
local lists = ARGV[1] .. (redis.call('HGET', group, 'created') or '') .. ':'
if key == '' or redis.call('RPUSH', lists .. key, id) == 1 then
  redis.call('RPUSH', ready, id .. '|' .. key)
end
redis.call('XDEL', dead, ARGV[2])
return 1
