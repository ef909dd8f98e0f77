-- Forgets what words past Redis made out of date. The gate is closed, so nobody can load it again yet.
-- KEYS[1] ingress:kept
-- ARGV    deadline ms, what shows that Redis was not emptied, whether it must be there already (1 or 0), then
--         the keys to forget
-- Returns forgotten; late: the caller was given up; emptied: Redis lost what it kept.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 'late' end
if ARGV[3] == '1' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 'emptied' end
for first = 4, #ARGV, 1000 do
    redis.call('UNLINK', unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('SET', KEYS[1], ARGV[2])
return 'forgotten'
