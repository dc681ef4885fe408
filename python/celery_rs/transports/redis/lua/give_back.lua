-- Return messages to their queues, those that are still held.
-- ARGV  2 consumer  3 '1' to be served next, '0' last  then triples: tag, list, envelope
-- ->    how many were returned
even_when_full()
local held, push = HELD_OF .. ARGV[2], ARGV[3] == '1' and 'RPUSH' or 'LPUSH'
local returned = 0
for i = 4, #ARGV, 3 do
  must_be('list', ARGV[i + 1])
  if take(ARGV[i]) then
    redis.call('HDEL', held, ARGV[i])
    redis.call(push, ARGV[i + 1], ARGV[i + 2])
    returned = returned + 1
  end
end
return returned
