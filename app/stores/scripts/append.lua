-- Appends events to their ingress shards, all or none; a comment enters its post's pending ones in the
-- same step, so that it is readable from the moment it is accepted, or leaves the readers' sight, once.
--
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   KEYS[3] comment:gone:{post}, the deleted
--         ones: id -> 0 until the tables know, then the time since they do   KEYS[4] ingress:open, the
--         gate: closed to comments, whose counts are kept here   KEYS[5..] ingress:{n}
-- ARGV    deadline ms, max length of all shards, number of shards, comment id ("" = no comment), comment
--         as JSON ("" = it is deleted), then per event: number of field texts, field texts
-- Returns done | same | late | full | cold | closed
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 'late' end
local length = 0
for shard = 0, tonumber(ARGV[3]) do length = length + redis.call('XLEN', 'ingress:' .. shard) end
if length >= tonumber(ARGV[2]) then return 'full' end
if ARGV[4] ~= '' then
    if redis.call('EXISTS', KEYS[4]) == 0 then return 'closed' end
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'cold' end
    if ARGV[5] ~= '' then
        -- Asked again, because the first answer was lost.
        if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1 then return 'same' end
        redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
        redis.call('INCR', KEYS[1])
    else
        if redis.call('ZADD', KEYS[3], 'NX', 0, ARGV[4]) == 0 then return 'same' end
        redis.call('PERSIST', KEYS[3])
        redis.call('HDEL', KEYS[2], ARGV[4])
        if tonumber(redis.call('GET', KEYS[1])) > 0 then redis.call('DECR', KEYS[1]) end
    end
end
local at, key = 6, 5
while at <= #ARGV do
    local fields = tonumber(ARGV[at])
    redis.call('XADD', KEYS[key], '*', unpack(ARGV, at + 1, at + fields))
    at, key = at + fields + 1, key + 1
end
return 'done'
