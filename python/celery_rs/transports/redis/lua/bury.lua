-- Make dead letters of messages that are still held, and store what their callers are told.
-- ARGV  2 consumer  then for each: tag, letter, '1' and a record (results.lua) or '0'
even_when_full()
letters_can_be_kept()
local held = HELD_OF .. ARGV[2]
local at = 3
while ARGV[at] do
  local tag, letter, record = unpack(ARGV, at, at + 2)
  at = at + 3
  if take(tag) then
    redis.call('HDEL', held, tag)
    bury_letter(letter)
    if record == '1' then store_at(at, true) end
  end
  if record == '1' then at = at + 5 end
end
return redis.status_reply('OK')
