-- Hold up to `limit` messages: what came while we waited first, then by step. What came and is one too many goes back
-- to its queue: nobody else would see it while we are busy.
-- ARGV  2 consumer  3 epoch  4 first number of a tag  5 limit  6 lease  7 its queues, as JSON  8 number of wait lists n
--       then for each list: its key, a record's end; the first n are wait lists, the next n the lists that those are of
-- ->    facts' version, when the next delayed message is due or '', tags that were lost, then for each list that gave
--       any: its place (from 0), its messages
even_when_full()
must_be('hash', UNACKED)
must_be('zset', INDEX)
must_be('hash', HELD_OF .. ARGV[2])
local consumer, epoch, number, limit = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
promote(500, stamp(NOW))
local lost_key = LOST_OF .. consumer
local lost = redis.call('SMEMBERS', lost_key)
local reply = {redis.call('GET', FACTS_VERSION) or '0', '', lost}
-- Who asks lives: one that waits for messages from now on is not taken for dead before its wait is over, and one that was
-- taken for dead is known again.
local lease = redis.call('ZSCORE', ALIVE, consumer)
if not lease or tonumber(lease) < NOW + 0.75 * ARGV[6] then
  redis.call('ZADD', ALIVE, stamp(NOW + ARGV[6]), consumer)
  if not lease then redis.call('HSET', CONSUMERS, consumer, ARGV[7]) end
end
local records, scores, states = {}, {}, {}
local since, broken, said = stamp(NOW), nil, nil
local waits = tonumber(ARGV[8])
for i = 9, #ARGV, 2 do
  local got = limit > 0 and redis.pcall('RPOP', ARGV[i], limit)
  if got and got.err then
    broken, said = broken or ARGV[i], said or got  -- what the other lists gave is kept first
  elseif got then
    limit = limit - #got
    reply[#reply + 1] = (i - 9) / 2
    reply[#reply + 1] = got
    for _, message in ipairs(got) do
      local tag = consumer .. '.' .. epoch .. '.' .. number
      local field = 'crs.' .. tag
      number = number + 1
      records[#records + 1] = field
      records[#records + 1] = '[' .. message .. ARGV[i + 1]
      scores[#scores + 1] = since
      scores[#scores + 1] = field
      states[#states + 1] = tag
      states[#states + 1] = 'h'
    end
  end
  if limit <= 0 then
    if i >= 9 + 2 * waits then break end
    local moved
    repeat moved = redis.pcall('LMOVE', ARGV[i], ARGV[i + 2 * waits], 'LEFT', 'RIGHT') until not moved or moved.err
  end
end
if #records > 0 then
  call_in_chunks(2, 'HSET', UNACKED, records)
  call_in_chunks(2, 'ZADD', INDEX, scores)
  call_in_chunks(2, 'HSET', HELD_OF .. consumer, states)
elseif broken then
  must_be('list', broken)
  return said
else
  local next_due = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if #next_due > 0 then reply[2] = stamp(next_due[2] - NOW) end
end
if #lost > 0 then redis.call('DEL', lost_key) end
return reply
