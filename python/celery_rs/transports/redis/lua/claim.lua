-- Count chord parts, then claim the chords of theirs that are complete and nobody's: Celery's key `.c` says whose.
-- ARGV  2 token  3 milliseconds of the claim  4… chord parts (results.lua)
-- ->    for each claimed chord: the key of its group, its parts with their scores in the header's order
local claimed, asked = {}, {}
for at = 4, #ARGV, 5 do count_at(at) end
for at = 4, #ARGV, 5 do
  local group = ARGV[at]
  if not asked[group] then
    asked[group] = true
    local size = tonumber(redis.call('GET', group .. '.s'))
    local later = tonumber(redis.call('GET', group .. '.t') or 0)
    -- A claim of this very token is one whose reply was lost.
    if size and redis.call('ZCARD', group .. '.j') >= size + later
       and (redis.call('SET', group .. '.c', ARGV[2], 'NX', 'PX', ARGV[3])
            or redis.call('GET', group .. '.c') == ARGV[2]) then
      claimed[#claimed + 1] = group
      claimed[#claimed + 1] = redis.call('ZRANGE', group .. '.j', 0, -1, 'WITHSCORES')
    end
  end
end
return claimed
