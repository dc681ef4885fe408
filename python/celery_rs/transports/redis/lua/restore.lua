-- Return what stock workers hold for too long to its queues, to be served next; what one of them has acknowledged or
-- restored meanwhile is left alone, and what belongs to a key that is no list.
-- ARGV  2 visibility timeout  then for each: field, envelope, a dead letter or '', number of lists, the lists
-- ->    how many were returned
local before = NOW - ARGV[2]
local returned, at = 0, 3
while ARGV[at] do
  local field, envelope, letter, lists = unpack(ARGV, at, at + 3)
  at = at + 4 + lists
  if letter ~= '' then letters_can_be_kept() end
  local fits = true
  for i = at - lists, at - 1 do
    local kind = redis.call('TYPE', ARGV[i]).ok
    fits = fits and (kind == 'list' or kind == 'none')
  end
  local since = fits and redis.call('ZSCORE', INDEX, field)
  if since and tonumber(since) <= before and redis.call('HDEL', UNACKED, field) == 1 then
    redis.call('ZREM', INDEX, field)
    if letter ~= '' then bury_letter(letter) end
    for i = at - lists, at - 1 do redis.call('RPUSH', ARGV[i], envelope) end
    returned = returned + 1
  end
end
return returned
