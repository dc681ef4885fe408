-- Messages that wait for their time lie in `unacked` under a score at which a stock worker restores them when they are
-- due. An entry of our own index is `<length of the record's end>|<list>|<field>`.

local AGAIN_SECONDS = 10

-- Keep a record until `due`. `field` is a new one; `list` is where it goes then.
local function delay(field, record, list, ending, due, visibility)
  redis.call('HSET', UNACKED, field, record)
  redis.call('ZADD', INDEX, stamp(due - visibility), field)
  redis.call('ZADD', DELAYED, stamp(due), ending .. '|' .. list .. '|' .. field)
end

-- Move up to `most` messages that are due by then to the ends of their queues. One that somebody has restored already
-- is forgotten. -> how many there were
local function promote(most, by)
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', by, 'LIMIT', 0, most)
  local moved = 0
  for _, entry in ipairs(due) do
    local ending, list, field = string.match(entry, '^(%d+)|(.*)|(.-)$')
    local record = field and redis.call('HGET', UNACKED, field)  -- nothing of ours is without a field
    local put = record and redis.pcall('LPUSH', list, string.sub(record, 2, -1 - ending))
    if type(put) == 'table' then
      redis.call('ZADD', DELAYED, stamp(NOW + AGAIN_SECONDS), entry)  -- that key is no list: it must not hold up others
    else
      if put then
        redis.call('HDEL', UNACKED, field)
        redis.call('ZREM', INDEX, field)
        moved = moved + 1
      end
      redis.call('ZREM', DELAYED, entry)
    end
  end
  return moved
end
