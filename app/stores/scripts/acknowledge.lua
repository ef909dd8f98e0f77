-- Takes entries off an ingress shard, if the caller still holds it. All up to the last one were handled
-- in order by holders of the lease, so trimming up to there loses nothing.
-- KEYS[1] ingress:{n}   KEYS[2] ingress:lease:{n}
-- ARGV    lease token, group, ids in order
-- Returns the number acknowledged, or -1: the shard has another holder now.
-- A lease that ran out and that nobody took is still ours: what was done under it was done alone.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return -1 end
local acked = 0
for first = 3, #ARGV, 1000 do
    acked = acked + redis.call('XACK', KEYS[1], ARGV[2],
        unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
local ms, n = string.match(ARGV[#ARGV], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(n) + 1))
return acked
