-- Store a record over one that the client has read, unless another has come in between.
-- ARGV  2 SHA-1 of the record that was read, '' if there was none  3… a record (results.lua)
-- ->    '1' written, '?' another record is there
local stored = redis.call('GET', ARGV[3])
if (stored and redis.sha1hex(stored) or '') ~= ARGV[2] then return '?' end
redis.call('DEL', ARGV[3])
return store_at(3, false)
