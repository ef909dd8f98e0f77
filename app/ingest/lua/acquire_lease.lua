-- Acquires or renews a lease. Each acquisition has a new token, which therefore is a fencing token too.
-- KEYS[1] the lease   ARGV token, milliseconds
-- Returns 1 if the caller owned it and renewed it, 2 if it was acquired now, 0 if another owner has it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return owner and 1 or 2
