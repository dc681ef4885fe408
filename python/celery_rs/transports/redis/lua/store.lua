-- ARGV  2… records (results.lua)
-- ->    for each '1' or '0': whether it was written
local written = {}
for at = 2, #ARGV, 5 do
  written[#written + 1] = store_at(at) and '1' or '0'
end
return table.concat(written)
