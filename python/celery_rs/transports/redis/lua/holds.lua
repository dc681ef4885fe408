-- ARGV  2… tags
-- ->    those that are still held
local kept = {}
for i = 2, #ARGV do
  local field = 'crs.' .. ARGV[i]
  if redis.call('ZSCORE', INDEX, field) or redis.call('HEXISTS', BEGUN, field) == 1 then
    kept[#kept + 1] = ARGV[i]
  end
end
return kept
