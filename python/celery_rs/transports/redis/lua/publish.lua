-- Publish a batch, all of it or nothing.
-- ARGV  2 a name of its own  3 visibility timeout  then the messages (publishing.lua)
local at = 4
while ARGV[at] do
  at = publish_at(at, ARGV[2], tonumber(ARGV[3]))
end
return redis.status_reply('OK')
