-- Drop what waits for its time in these lists, some at a time; with the last of it what is ready.
-- ARGV  2 cursor ('0' at first)  3 about how many to look at  4… lists
-- ->    how many were dropped, the next cursor ('0' at the end)
local lists = {}
for i = 4, #ARGV do lists[ARGV[i]] = true end
local dropped = 0
local cursor, entries = unpack(redis.call('ZSCAN', DELAYED, ARGV[2], 'COUNT', ARGV[3]))
for i = 1, #entries, 2 do
  local _, list, field = string.match(entries[i], '^(%d+)|(.*)|(.-)$')
  if lists[list] and redis.call('ZREM', DELAYED, entries[i]) == 1 then
    redis.call('ZREM', INDEX, field)
    dropped = dropped + redis.call('HDEL', UNACKED, field)
  end
end
if cursor == '0' then
  for list in pairs(lists) do
    dropped = dropped + redis.call('LLEN', list)
    redis.call('UNLINK', list)
  end
end
return {dropped, cursor}
