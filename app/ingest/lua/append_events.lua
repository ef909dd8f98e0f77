-- Appends events to an ingress shard, all or none. In the same step a comment is added to the pending
-- comments of its post, so that it is readable once it is accepted, or is marked as deleted.
--
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   KEYS[3] comment:deleted:{post}, the deleted
--         ones: id -> 0 until the tables know, then the time since they do   KEYS[4] ingress:enabled,
--         absent during a Redis failover (checked for comments only)   KEYS[5] membership:idle
--         KEYS[6] ingress:{n}
-- ARGV    deadline ms, max length of the shard, comment id ("" = no comment), comment as JSON ("" = it is deleted),
--         name of the post in KEYS[5], then per event: number of fields and values, fields and values
-- Returns done | unchanged | deadline_exceeded | full | not_loaded | failover
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return 'deadline_exceeded' end
if redis.call('XLEN', KEYS[6]) >= tonumber(ARGV[2]) then return 'full' end
if ARGV[3] ~= '' then
    if redis.call('EXISTS', KEYS[4]) == 0 then return 'failover' end
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'not_loaded' end
    if ARGV[4] ~= '' then
        -- A retry: the first reply was lost.
        if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then return 'unchanged' end
        redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
        redis.call('INCR', KEYS[1])
    else
        if redis.call('ZADD', KEYS[3], 'NX', 0, ARGV[3]) == 0 then return 'unchanged' end
        redis.call('PERSIST', KEYS[3])
        redis.call('HDEL', KEYS[2], ARGV[3])
        if tonumber(redis.call('GET', KEYS[1])) > 0 then redis.call('DECR', KEYS[1]) end
    end
    redis.call('ZADD', KEYS[5], now, ARGV[5])
end
local index = 6
while index <= #ARGV do
    local fields = tonumber(ARGV[index])
    redis.call('XADD', KEYS[6], '*', unpack(ARGV, index + 1, index + fields))
    index = index + fields + 1
end
return 'done'
