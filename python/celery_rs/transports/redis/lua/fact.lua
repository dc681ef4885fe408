-- Put a fact, or drop it (it stays for a while without a value, so that everybody hears of it).
-- ARGV  2 facts  3 facts' order  4 name  5 value as JSON  6 until when ('' for ever)  7 '1' only where it exists
local facts, order, name = ARGV[2], ARGV[3], ARGV[4]
for _, old in ipairs(redis.call('ZRANGEBYSCORE', order .. '.until', '-inf', stamp(NOW))) do
  redis.call('HDEL', facts, old)
  redis.call('ZREM', order, old)
  redis.call('ZREM', order .. '.until', old)
end
if ARGV[7] == '1' and redis.call('HEXISTS', facts, name) == 0 then return redis.status_reply('OK') end
local version = redis.call('INCR', FACTS_VERSION)
redis.call('HSET', facts, name, ARGV[5])
redis.call('ZADD', order, version, name)
if ARGV[6] == '' then
  redis.call('ZREM', order .. '.until', name)
elseif ARGV[7] == '1' then
  redis.call('ZADD', order .. '.until', stamp(NOW + ARGV[6]), name)
else
  redis.call('ZADD', order .. '.until', ARGV[6], name)
end
return redis.status_reply('OK')
