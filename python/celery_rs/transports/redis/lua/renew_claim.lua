-- Prolong the claim of a chord; one that has lapsed is taken again if nobody else has it and the chord is not over.
-- ARGV  2 key of the group  3 token  4 milliseconds of the claim
-- ->    '1' or '0'
local claim = ARGV[2] .. '.c'
local holder = redis.call('GET', claim)
if holder and holder ~= ARGV[3] or redis.call('EXISTS', ARGV[2] .. '.s') == 0 then return '0' end
redis.call('SET', claim, ARGV[3], 'PX', ARGV[4])
return '1'
