-- ARGV  2… chord parts (results.lua)
for at = 2, #ARGV, 5 do count_at(at) end
return redis.status_reply('OK')
