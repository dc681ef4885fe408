-- Move messages to their queues although they are not due: whoever receives them then waits for them.
-- ->    how many were moved, how many still wait
local moved = promote(500, '+inf')
return {moved, redis.call('ZCARD', DELAYED)}
