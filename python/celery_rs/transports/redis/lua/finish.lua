-- End deliveries: what follows is published, the record stored, the part counted, the message settled; all of it only
-- while the message is still held. Settling comes first in here; from outside there is no order.
-- ARGV  2 consumer  3 visibility timeout  4 milliseconds for which successes are kept  5 number of completions n
--       6… n tags, then for each one of
--       '-'  nothing but its end
--       'r', key and record of a success at the first attempt: what nearly all are
--       '*', a dead letter or '', number of follow-ups, the follow-ups (publishing.lua),
--            '1' and a record (results.lua) or '0', '1' and a chord part (results.lua) or '0'
-- ->    for each '1' or '0': whether it happened; '2' where it did and nobody listened, if there was anything to hear
even_when_full()
local visibility, kept, count = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
-- Whether all that follows can be written, for nothing is undone.
local at = 6 + count
local known = {}
for _ = 1, count do
  local kind = ARGV[at]
  if not kind then break end  -- nothing but tags
  if kind == 'r' then
    at = at + 3
  elseif kind == '-' then
    at = at + 1
  else
    if ARGV[at + 1] ~= '' then letters_can_be_kept() end
    local followups = tonumber(ARGV[at + 2])
    at = at + 3
    for _ = 1, followups do
      if ARGV[at + 3] ~= '' then letters_can_be_kept() end
      local after = at + 5 + 3 * ARGV[at + 4]
      for target = at + 5, after - 1, 3 do
        local key = ARGV[target + 1]
        if ARGV[target] ~= 'p' and not known[key] then
          must_be('list', key)
          known[key] = true
        end
      end
      at = after
    end
    at = at + (ARGV[at] == '1' and 6 or 1)
    at = at + (ARGV[at] == '1' and 6 or 1)
  end
end

-- Kombu's index and its hash hold the same messages: where fewer were in the one, the other says which.
local fields, tags, verdicts = {}, {}, {}
for i = 1, count do
  tags[i] = ARGV[5 + i]
  fields[i] = 'crs.' .. tags[i]
  verdicts[i] = '1'
end
for first = 1, count, AT_ONCE do
  local last = math.min(first + AT_ONCE - 1, count)
  if redis.call('ZREM', INDEX, unpack(fields, first, last)) == last - first + 1 then
    redis.call('HDEL', UNACKED, unpack(fields, first, last))
  else
    for i = first, last do
      if redis.call('HDEL', UNACKED, fields[i]) + redis.call('HDEL', BEGUN, fields[i]) == 0 then verdicts[i] = '0' end
    end
  end
end
call_in_chunks(1, 'HDEL', HELD_OF .. ARGV[2], tags)

at = 6 + count
for i = 1, count do
  local kind = ARGV[at]
  if not kind then break end  -- nothing but tags
  local happens = verdicts[i] == '1'
  if kind == 'r' then
    if happens then
      local _, listeners = store(ARGV[at + 1], ARGV[at + 2], 'SUCCESS', '0', kept, true)
      if listeners == 0 then verdicts[i] = '2' end
    end
    at = at + 3
  elseif kind == '-' then
    if happens then verdicts[i] = '2' end
    at = at + 1
  else
    if happens and ARGV[at + 1] ~= '' then bury_letter(ARGV[at + 1]) end
    local followups = tonumber(ARGV[at + 2])
    at = at + 3
    for _ = 1, followups do
      if happens then
        at = publish_at(at, tags[i], visibility)
      else
        at = at + 5 + 3 * ARGV[at + 4]
      end
    end
    local record = ARGV[at] == '1'
    at = at + 1
    if record then
      if happens then store_at(at, true) end
      at = at + 5
    end
    local part = ARGV[at] == '1'
    at = at + 1
    if part then
      if happens then count_at(at) end
      at = at + 5
    end
  end
end
return table.concat(verdicts)
