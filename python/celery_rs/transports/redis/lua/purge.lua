-- Drop what is ready or waits for its time in these lists.
-- ARGV  2… lists
-- ->    how many
local dropped, lists = 0, {}
for i = 2, #ARGV do
  lists[ARGV[i]] = true
  dropped = dropped + redis.call('LLEN', ARGV[i])
  redis.call('DEL', ARGV[i])
end
for _, entry in ipairs(redis.call('ZRANGE', DELAYED, 0, -1)) do
  local _, list, field = string.match(entry, '^(%d+)|(.*)|(.-)$')
  if lists[list] then
    redis.call('ZREM', DELAYED, entry)
    redis.call('ZREM', INDEX, field)
    dropped = dropped + redis.call('HDEL', UNACKED, field)
  end
end
return dropped
