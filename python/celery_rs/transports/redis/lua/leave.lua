-- A consumer has closed: what it only waited with goes back; what it has begun, the next sweep finds.
-- ARGV  2 consumer  then pairs: wait list, queue's list
even_when_full()
for i = 3, #ARGV, 2 do
  while redis.call('LMOVE', ARGV[i], ARGV[i + 1], 'LEFT', 'RIGHT') do end
end
redis.call('DEL', LOST_OF .. ARGV[2])
if redis.call('EXISTS', HELD_OF .. ARGV[2]) == 1 then
  redis.call('ZADD', ALIVE, 0, ARGV[2])
  redis.call('HSET', CONSUMERS, ARGV[2], '[[],[]]')
else
  redis.call('ZREM', ALIVE, ARGV[2])
  redis.call('HDEL', CONSUMERS, ARGV[2])
end
return redis.status_reply('OK')
