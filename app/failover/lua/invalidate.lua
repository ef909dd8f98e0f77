-- Deletes the keys that failover writes made stale. The failover is not over, so nothing loads them yet.
-- KEYS[1] ingress:instance_id   KEYS[2] ingress:incomplete
-- ARGV    deadline ms, instance id, whether it must be there already (1 or 0), then the keys to delete
-- Returns invalidated; deadline_exceeded: the caller has given up; data_loss: Redis was emptied.
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 'deadline_exceeded' end
if ARGV[3] == '1' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 'data_loss' end
for first = 4, #ARGV, 1000 do
    redis.call('UNLINK', unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2])
return 'invalidated'
