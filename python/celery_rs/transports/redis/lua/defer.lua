-- Keep messages until they are due.
-- ARGV  2 consumer  3 visibility timeout  then quadruples: tag, when due, list, length of the record's end
even_when_full()
must_be('zset', DELAYED)
local held = HELD_OF .. ARGV[2]
for i = 4, #ARGV, 4 do
  local tag = ARGV[i]
  local record = take(tag)
  if record then
    redis.call('HDEL', held, tag)
    delay('crs.delay.' .. tag, record, ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 1]), tonumber(ARGV[3]))
  end
end
return redis.status_reply('OK')
