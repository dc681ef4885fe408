-- One message of a batch, read from ARGV: visibility timeout is needed where it waits.
-- from `at`: once ('' none), not before ('' at once), envelope, dead letter for the case that no queue takes it,
--            number of targets, then for each: kind (q list, p channel), key, a record's end
-- ->         where the next one begins
local ONCE_SECONDS = 86400

local function is_repeat(once)
  redis.call('ZREMRANGEBYSCORE', ONCE, '-inf', stamp(NOW))
  if redis.call('ZSCORE', ONCE, once) then return true end
  redis.call('ZADD', ONCE, stamp(NOW + ONCE_SECONDS), once)
  return false
end

local function publish_at(at, field, visibility)
  local once, not_before, envelope, letter, targets = unpack(ARGV, at, at + 4)
  local after = at + 5 + 3 * targets
  if once ~= '' and is_repeat(once) then return after end
  if letter ~= '' then bury_letter(letter) end
  local waits = not_before ~= '' and tonumber(not_before) > NOW
  for target = at + 5, after - 1, 3 do
    local kind, key, ending = unpack(ARGV, target, target + 2)
    if kind == 'p' then
      redis.call('PUBLISH', key, envelope)
    elseif waits then
      delay('crs.delay.' .. field .. '.' .. target, '[' .. envelope .. ending, key, #ending, tonumber(not_before), visibility)
    else
      redis.call('LPUSH', key, envelope)
    end
  end
  return after
end
