-- Be known as a consumer: its lease begins, its queues are told.
-- ARGV  2 consumer  3 lease in seconds  4 its queues, as JSON
even_when_full()
redis.call('ZADD', ALIVE, stamp(NOW + ARGV[3]), ARGV[2])
redis.call('HSET', CONSUMERS, ARGV[2], ARGV[4])
return redis.status_reply('OK')
