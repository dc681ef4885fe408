-- Records and chord parts, on Celery's keys. A record never goes backwards: this is `wire.supersedes`.
local RANKS = {SUCCESS = 0, FAILURE = 1, REVOKED = 3, STARTED = 4, RECEIVED = 5, REJECTED = 6, RETRY = 7, PENDING = 8}
local READY = {SUCCESS = true, FAILURE = true, REVOKED = true}
local CUSTOM = 2

-- State and attempt of a stored record; nil where it is no JSON. One that does not say stands back.
local function told(record)
  local state = string.match(record, '^%s*{%s*"status"%s*:%s*"([^"\\]*)"')
  if not state then
    local read, value = pcall(cjson.decode, record)
    if not read or type(value) ~= 'table' then return nil end
    if type(value.status) ~= 'string' then return 'PENDING', 0 end
    return value.status, tonumber(value.attempt) or 0
  end
  return state, tonumber(string.match(record, '^%s*{%s*"status"%s*:%s*"[^"\\]*",%s*"attempt"%s*:%s*(%d+)')) or 0
end

local function supersedes(state, attempt, over, over_attempt)
  if over == 'SUCCESS' then return false end
  if READY[over] then return READY[state] and attempt > over_attempt end
  if READY[state] or attempt > over_attempt then return true end
  if attempt < over_attempt then return false end
  if over == 'RETRY' then return state == 'RETRY' end
  return (RANKS[state] or CUSTOM) <= (RANKS[over] or CUSTOM) or state == 'RETRY'
end

local function put(key, record, kept, ...)
  if kept == '0' then return redis.call('SET', key, record, ...) end
  return redis.call('SET', key, record, 'PX', kept, ...)
end

-- Store one record: its key, itself, state, attempt, milliseconds it is kept (0: for ever).
-- -> '1' written, and to how many it was told; '0' not; '?' nothing was done since the record that is there cannot be
--    read in here
-- `blind` writes over such a record if the new one is ready. A key that holds no record at all is written over.
local function store(key, record, state, attempt, kept, blind)
  if not put(key, record, kept, 'NX') then
    local stored = redis.pcall('GET', key)
    if type(stored) == 'string' then
      local over, over_attempt = told(stored)
      if not over and not (blind and READY[state]) then return '?' end
      if over and not supersedes(state, tonumber(attempt), over, over_attempt) then return '0' end
    end
    put(key, record, kept)
  end
  return '1', redis.call('PUBLISH', key, record)
end

-- The same, read from ARGV at `at`.
local function store_at(at, blind)
  local key, record, state, attempt, kept = unpack(ARGV, at, at + 4)
  return store(key, record, state, attempt, kept, blind)
end

-- Count one chord part, read from ARGV at `at`: key of the group, mark, score, part, milliseconds its keys are kept.
-- The first report of a part stands; a chord whose body was sent takes no more.
local function count_at(at)
  local group, mark, score, part, kept = unpack(ARGV, at, at + 4)
  if redis.call('GET', group .. '.c') == 'done' then return end
  if redis.call('SADD', group .. '.d', mark) == 1 then redis.call('ZADD', group .. '.j', score, part) end
  if kept ~= '0' then
    for _, key in ipairs({'', '.j', '.t', '.s', '.d'}) do redis.call('PEXPIRE', group .. key, kept) end
  end
end
