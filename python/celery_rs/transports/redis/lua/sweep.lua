-- Whose lease is over.
-- ARGV  2 consumer that asks
-- ->    now, then pairs: consumer, when its lease ended
local reply = {stamp(NOW)}
local over = redis.call('ZRANGEBYSCORE', ALIVE, '-inf', stamp(NOW), 'WITHSCORES')
for i = 1, #over, 2 do
  if over[i] ~= ARGV[2] then
    reply[#reply + 1] = over[i]
    reply[#reply + 1] = over[i + 1]
  end
end
return reply
