-- Ends a Redis failover: writes go through Redis again.
-- KEYS[1] ingress:enabled   ARGV token, deadline ms
-- Returns 1, or 0 after the deadline: the caller has given up, and the row may have another state.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
