-- Take over what a dead consumer held, under tags of our own; what it only waited with goes back to its queue.
-- ARGV  2 consumer  3 epoch  4 first number of a tag  5 most to take  6 the dead one
--       7 when its lease ended, as the sweep has seen it  then pairs: wait list, queue's list
-- ->    '1' when something is left, then quadruples: tag, state, record, the tag it had
even_when_full()
local consumer, dead = ARGV[2], ARGV[6]
local lease = redis.call('ZSCORE', ALIVE, dead)
if lease and lease ~= ARGV[7] then return {'0'} end  -- it has renewed meanwhile
must_be('hash', UNACKED)
must_be('zset', INDEX)
must_be('hash', BEGUN)
must_be('hash', HELD_OF .. consumer)
must_be('set', LOST_OF .. dead)
for i = 8, #ARGV, 2 do
  while redis.call('LMOVE', ARGV[i], ARGV[i + 1], 'LEFT', 'RIGHT') do end
end
local theirs, ours, lost = HELD_OF .. dead, HELD_OF .. consumer, LOST_OF .. dead
local number, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local reply = {'0'}
local held = redis.call('HRANDFIELD', theirs, most, 'WITHVALUES')  -- any; to read all for each call takes too long
for i = 1, #held, 2 do
  local tag, state = held[i], held[i + 1]
  local record = take(tag)
  redis.call('HDEL', theirs, tag)
  if record then
    local new = consumer .. '.' .. ARGV[3] .. '.' .. number
    number = number + 1
    if state == 'b' then
      redis.call('HSET', BEGUN, 'crs.' .. new, record)
    else
      redis.call('HSET', UNACKED, 'crs.' .. new, record)
      redis.call('ZADD', INDEX, stamp(NOW), 'crs.' .. new)
    end
    redis.call('HSET', ours, new, state)
    redis.call('SADD', lost, tag)
    reply[#reply + 1] = new
    reply[#reply + 1] = state
    reply[#reply + 1] = record
    reply[#reply + 1] = tag
  end
end
redis.call('EXPIRE', lost, 86400)
if redis.call('EXISTS', theirs) == 1 then
  reply[1] = '1'
  return reply
end
redis.call('ZREM', ALIVE, dead)
-- One that was only stopped may still move a message to a list of its own, and then die: `reclaim.lua` looks there.
local told = redis.call('HGET', CONSUMERS, dead)
if told then redis.call('HSET', CONSUMERS .. '.gone', dead, stamp(NOW) .. '\n' .. told) end
redis.call('HDEL', CONSUMERS, dead)
return reply
