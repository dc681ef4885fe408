-- Put on record that tasks have started. Late: they stay held, and run. Early: they leave Kombu's keys for ours.
-- ARGV  2 consumer  3 '1' when late  then tags
-- ->    the tags that are no longer held
even_when_full()
local held = HELD_OF .. ARGV[2]
local gone = {}
for i = 4, #ARGV do
  local tag = ARGV[i]
  local field = 'crs.' .. tag
  local record = redis.call('ZSCORE', INDEX, field) and redis.call('HGET', UNACKED, field)
  if record then
    if ARGV[3] == '1' then
      redis.call('HSET', held, tag, 'r')
    else
      redis.call('HSET', BEGUN, field, record)
      redis.call('HDEL', UNACKED, field)
      redis.call('ZREM', INDEX, field)
      redis.call('HSET', held, tag, 'b')
    end
  elseif redis.call('HEXISTS', BEGUN, field) == 0 then
    gone[#gone + 1] = tag
  end
end
return gone
