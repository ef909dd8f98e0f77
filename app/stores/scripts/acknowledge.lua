-- Takes entries off an ingress shard, if the caller still holds it, and trims what was handled: up to the
-- oldest entry that somebody read and did not acknowledge (a holder that woke after its lease and died),
-- else up to the last one given.
-- What became of them is counted in the same step, once.
-- KEYS[1] ingress:{n}   KEYS[2] ingress:lease:{n}   KEYS[3] stage:bridge
-- ARGV    lease token, group, how many were spilled (fallback queue), how many failed, ids in order
-- Returns how many are still pending, or -1: the shard has another holder now.
-- A lease that ran out and that nobody took is still ours: what was done under it was done alone.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return -1 end
local acked = 0
for first = 5, #ARGV, 1000 do
    acked = acked + redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
local failed = math.min(acked, tonumber(ARGV[4]))
local spilled = math.min(acked - failed, tonumber(ARGV[3]))
for outcome, count in pairs({failed = failed, spilled = spilled, published = acked - failed - spilled}) do
    if count > 0 then redis.call('HINCRBY', KEYS[3], outcome, count) end
end
local left = redis.call('XPENDING', KEYS[1], ARGV[2])
if left[1] > 0 then
    redis.call('XTRIM', KEYS[1], 'MINID', left[2])
    return left[1]
end
local ms, n = string.match(ARGV[#ARGV], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(n) + 1))
return 0
