-- What every script begins with.
-- KEYS  as listed in keys.py (`Keys.fixed`)
-- ARGV  1 seconds to add to the server's clock
local UNACKED, INDEX, BEGUN, ALIVE, CONSUMERS, DELAYED, FACTS_VERSION, ONCE, DEAD, DEAD_ORDER, DEAD_SERIAL,
      HELD_OF, LOST_OF, WAIT_OF = unpack(KEYS)
local TIME = redis.call('TIME')
local NOW = TIME[1] + TIME[2] / 1000000 + ARGV[1]
local AT_ONCE = 2000  -- arguments of one command; Lua cannot unpack much more

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

-- A full Redis refuses the first write of a script if it needs memory, and none after one that needs none. What workers
-- do with messages goes on, since it frees memory in the end; what callers do waits for that.
local function even_when_full()
  redis.call('DEL', HELD_OF)  -- a key that is never there
end

-- A command with more arguments than Lua can unpack at once; `stride` of them belong together.
local function call_in_chunks(stride, command, key, arguments)
  local most = AT_ONCE - AT_ONCE % stride
  for first = 1, #arguments, most do
    redis.call(command, key, unpack(arguments, first, math.min(first + most - 1, #arguments)))
  end
end

-- A script that fails half-way undoes nothing: what it is about to write to must be such as can be written to.
local function must_be(kind, key)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return end
  error('WRONGTYPE expected a ' .. kind .. ' at key ' .. key .. ', got a ' .. found, 0)
end

local function letters_can_be_kept()
  must_be('hash', DEAD)
  must_be('zset', DEAD_ORDER)
  redis.call('INCRBY', DEAD_SERIAL, 0)  -- fails where it is no number
end

local function bury_letter(letter)
  local id = redis.call('INCR', DEAD_SERIAL)
  redis.call('HSET', DEAD, id, stamp(NOW) .. '\n' .. letter)
  redis.call('ZADD', DEAD_ORDER, id, id)
end

-- Take a message away from its holder, if it is still held: its record, or nil. This is the fence.
local function take(tag)
  local field = 'crs.' .. tag
  local record
  if redis.call('ZREM', INDEX, field) == 1 then
    record = redis.call('HGET', UNACKED, field)
    redis.call('HDEL', UNACKED, field)
  else
    record = redis.call('HGET', BEGUN, field)
    if record then redis.call('HDEL', BEGUN, field) end
  end
  return record or nil
end
