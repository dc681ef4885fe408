-- What came for a consumer that was taken for dead goes back to its queue, unless it lives again.
-- ARGV  2 the consumer  3 '1' to look there no more  then pairs: wait list, queue's list
-- ->    how many messages
local returned = 0
if not redis.call('ZSCORE', ALIVE, ARGV[2]) then
  for i = 4, #ARGV, 2 do
    while redis.call('LMOVE', ARGV[i], ARGV[i + 1], 'LEFT', 'RIGHT') do returned = returned + 1 end
  end
end
if ARGV[3] == '1' then redis.call('HDEL', CONSUMERS .. '.gone', ARGV[2]) end
return returned
