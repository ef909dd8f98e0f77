-- Acknowledges entries of an ingress shard if the caller still owns its lease, and trims the stream: up to the
-- oldest entry that was read and not acknowledged (by an owner that resumed after its lease and died), else up
-- to the last one given.
-- Counts their outcomes in the same step, once.
-- KEYS[1] ingress:{n}   KEYS[2] ingress:lease:{n}   KEYS[3] stage:bridge
-- ARGV    lease token, group, how many went to the fallback queue, how many failed, ids in order
-- Returns how many are still pending, or -1: the shard has another owner now.
-- A lease that expired and that nobody else took still counts as held by the caller.
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return -1 end
local acked = 0
for first = 5, #ARGV, 1000 do
    acked = acked + redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
local failed = math.min(acked, tonumber(ARGV[4]))
local sent_to_fallback = math.min(acked - failed, tonumber(ARGV[3]))
local published = acked - failed - sent_to_fallback
for outcome, count in pairs({failed = failed, sent_to_fallback = sent_to_fallback, published = published}) do
    if count > 0 then redis.call('HINCRBY', KEYS[3], outcome, count) end
end
local pending = redis.call('XPENDING', KEYS[1], ARGV[2])
if pending[1] > 0 then
    redis.call('XTRIM', KEYS[1], 'MINID', pending[2])
    return pending[1]
end
local ms, n = string.match(ARGV[#ARGV], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(n) + 1))
return 0
