-- Takes or keeps a lease. A token is drawn anew for each holding, so it is the fence as well.
-- KEYS[1] the lease   ARGV token, milliseconds
-- Returns 1 if the caller holds it now and held it before, 2 if it was just taken, 0 if another holds it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 1 or 2
