-- What stock workers hold for longer than the visibility timeout: what of ours is as old has an owner who minds it.
-- ARGV  2 visibility timeout  3 most to tell of
-- ->    pairs: field, record; a field without a record is forgotten here
local most, before, from = tonumber(ARGV[3]), stamp(NOW - ARGV[2]), 0
local reply = {}
repeat
  local fields = redis.call('ZRANGEBYSCORE', INDEX, '-inf', before, 'LIMIT', from, 1000)
  from = from + #fields
  for _, field in ipairs(fields) do
    if #reply < 2 * most and string.sub(field, 1, 4) ~= 'crs.' then
      local record = redis.call('HGET', UNACKED, field)
      if record then
        reply[#reply + 1] = field
        reply[#reply + 1] = record
      else
        redis.call('ZREM', INDEX, field)
        from = from - 1
      end
    end
  end
until #fields == 0 or #reply >= 2 * most or from >= 50000
return reply
