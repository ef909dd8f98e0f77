-- Appends events to their ingress shards, all or none; a comment enters its post's pending ones in the
-- same step, so that it is readable from the moment it is accepted.
--
-- KEYS[1] comment:count:{post} ("" = no comment)   KEYS[2] comment:pending:{post}   KEYS[3..] ingress:{n}
-- ARGV    deadline ms, max length of all shards, number of shards, comment id, comment as JSON,
--         then per event: number of field texts, field texts
-- Returns done | late | full | cold
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 'late' end
local length = 0
for shard = 0, tonumber(ARGV[3]) do length = length + redis.call('XLEN', 'ingress:' .. shard) end
if length >= tonumber(ARGV[2]) then return 'full' end
if ARGV[4] ~= '' then
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'cold' end
    redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
    redis.call('INCR', KEYS[1])
end
local at, key = 6, 3
while at <= #ARGV do
    local fields = tonumber(ARGV[at])
    redis.call('XADD', KEYS[key], '*', unpack(ARGV, at + 1, at + fields))
    at, key = at + fields + 1, key + 1
end
return 'done'
