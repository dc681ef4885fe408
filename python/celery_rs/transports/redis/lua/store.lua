-- ARGV  2… records (results.lua)
-- ->    for each '1', '0' or '?' (results.lua)
local written = {}
for at = 2, #ARGV, 5 do
  written[#written + 1] = store_at(at, false)
end
return table.concat(written)
