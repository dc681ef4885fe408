-- Prolong the lease of a consumer and of what it holds, some at a time: thousands at once would keep everybody waiting.
-- ARGV  2 consumer  3 lease  4 its queues, as JSON  5 cursor ('0' at first)  6 about how many to prolong
-- ->    the next cursor ('0' at the end), how many it holds, the tags that it no longer holds
even_when_full()
local consumer = ARGV[2]
local held, lost_key = HELD_OF .. consumer, LOST_OF .. consumer
local lost = redis.call('SMEMBERS', lost_key)
if #lost > 0 then redis.call('DEL', lost_key) end
redis.call('ZADD', ALIVE, stamp(NOW + ARGV[3]), consumer)
redis.call('HSET', CONSUMERS, consumer, ARGV[4])
local since = stamp(NOW)
local cursor, some = unpack(redis.call('HSCAN', held, ARGV[5], 'COUNT', ARGV[6]))
for i = 1, #some, 2 do
  local tag = some[i]
  local field = 'crs.' .. tag
  if redis.call('ZSCORE', INDEX, field) then
    redis.call('ZADD', INDEX, since, field)
  elseif redis.call('HEXISTS', BEGUN, field) == 0 then
    redis.call('HDEL', held, tag)  -- a stock worker has restored it
    lost[#lost + 1] = tag
  end
end
return {cursor, redis.call('HLEN', held), lost}
