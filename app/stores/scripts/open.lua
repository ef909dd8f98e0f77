-- Opens the gate: writes go by way of Redis again.
-- KEYS[1] ingress:open   ARGV the token of this opening, deadline ms
-- Returns 1, or 0 when it is too late: the caller was given up, and the row may say something else.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
