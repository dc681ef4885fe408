-- Put dead letters at the ends of their queues.
-- ARGV  2… triples: id, list, envelope
-- ->    how many were there
local revived = 0
for i = 2, #ARGV, 3 do
  must_be('list', ARGV[i + 1])
  if redis.call('ZREM', DEAD_ORDER, ARGV[i]) == 1 then
    redis.call('HDEL', DEAD, ARGV[i])
    redis.call('LPUSH', ARGV[i + 1], ARGV[i + 2])
    revived = revived + 1
  end
end
return revived
