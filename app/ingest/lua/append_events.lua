-- Appends events to their ingress shards, all or none. In the same step a comment is added to the pending
-- comments of its post, so that it is readable once it is accepted, or is marked as deleted.
--
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   KEYS[3] comment:deleted:{post}, the deleted
--         ones: id -> 0 until the tables know, then the time since they do   KEYS[4] ingress:enabled,
--         absent during a Redis failover (checked for comments only)   KEYS[5..] ingress:{n}
-- ARGV    deadline ms, max length of all shards, number of shards, comment id ("" = no comment), comment
--         as JSON ("" = it is deleted), then per event: number of fields and values, fields and values
-- Returns done | unchanged | deadline_exceeded | full | not_loaded | failover
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 'deadline_exceeded' end
local length = 0
for shard = 0, tonumber(ARGV[3]) do length = length + redis.call('XLEN', 'ingress:' .. shard) end
if length >= tonumber(ARGV[2]) then return 'full' end
if ARGV[4] ~= '' then
    if redis.call('EXISTS', KEYS[4]) == 0 then return 'failover' end
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'not_loaded' end
    if ARGV[5] ~= '' then
        -- A retry: the first reply was lost.
        if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1 then return 'unchanged' end
        redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
        redis.call('INCR', KEYS[1])
    else
        if redis.call('ZADD', KEYS[3], 'NX', 0, ARGV[4]) == 0 then return 'unchanged' end
        redis.call('PERSIST', KEYS[3])
        redis.call('HDEL', KEYS[2], ARGV[4])
        if tonumber(redis.call('GET', KEYS[1])) > 0 then redis.call('DECR', KEYS[1]) end
    end
end
local index, key = 6, 5
while index <= #ARGV do
    local fields = tonumber(ARGV[index])
    redis.call('XADD', KEYS[key], '*', unpack(ARGV, index + 1, index + fields))
    index, key = index + fields + 1, key + 1
end
return 'done'
