-- Let go of a chord: its body was published and it is over, or somebody else may claim it.
-- ARGV  2 key of the group  3 token  4 milliseconds for which a chord stays known as over (0: not published)
local group = ARGV[2]
if redis.call('GET', group .. '.c') ~= ARGV[3] then return redis.status_reply('OK') end
if ARGV[4] == '0' then
  redis.call('DEL', group .. '.c')
else
  redis.call('DEL', group .. '.j', group .. '.t', group .. '.s', group .. '.d')
  redis.call('SET', group .. '.c', 'done', 'PX', ARGV[4])
end
return redis.status_reply('OK')
