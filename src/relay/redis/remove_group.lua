#!lua flags=allow-oom
-- Removes a group; returns whether there was one. KEYS: groups, group, ready, flight, delayed, tries, bodies, dead.
-- ARGV: the name of the group, the prefix of the lists of waiting entries.
local groups, group, ready, flight, delayed, tries, bodies, dead = unpack(KEYS)
-- What a script has done until it is refused something stays: so nothing is done unless everything may be.
for _, command in ipairs({{'HGET', group, ''}, {'LPOP', ready}, {'ZRANGE', flight, 0, -1}, {'DEL', ready}, {'HDEL', groups, ''}}) do
  if not redis.acl_check_cmd(unpack(command)) then return redis.error_reply('NOPERM no permission for ' .. command[1]) end
end
local created = redis.call('HGET', group, 'created')
-- Of each list one entry is among these.
local function remove_list(member)
  redis.call('DEL', ARGV[2] .. (created or '') .. ':' .. (string.match(member, '|(.*)$') or ''))
end
for _, set in ipairs({flight, delayed}) do
  for _, member in ipairs(redis.call('ZRANGE', set, 0, -1)) do remove_list(member) end
end
local member = redis.call('LPOP', ready)
while member do
  remove_list(member)
  member = redis.call('LPOP', ready)
end
redis.call('DEL', group, ready, flight, delayed, tries, bodies, dead)
redis.call('HDEL', groups, ARGV[1])
return created and 1 or 0
