-- Removes unwritten likes and follows whose rows are written, unless a newer event was accepted since, and counts
-- those whose previous state was unknown when they were accepted (app/ingest/lua/set_membership.lua).
-- KEYS[1] membership:idle, then per post or followed user: count, unwritten, large
-- ARGV    per post or followed user: its name in KEYS[1], number of events, then per event:
--         actor, seq of the row, previous state of the row (0 | 1 | "" = not known), bucket of the actor
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local function count_change(count_key, large_key, previous, name)
    if previous == '' then
        -- The count is loaded again once nothing is unwritten.
        redis.call('HSETNX', large_key, 'recount', now)
        redis.call('ZADD', KEYS[1], 0, name)
    elseif previous == '0' and redis.call('EXISTS', count_key) == 1 then
        redis.call('INCR', count_key) -- the actor was assumed to be a member
    end
end

local at = 1
for i = 2, #KEYS, 3 do
    local count_key, unwritten_key, large_key = KEYS[i], KEYS[i + 1], KEYS[i + 2]
    local name, actors, settled, settled_buckets = ARGV[at], {}, {}, {}
    local first = at + 2
    at = first + 4 * ARGV[at + 1]
    for event = first, at - 1, 4 do actors[#actors + 1] = ARGV[event] end
    for n, entry in ipairs(redis.call('HMGET', unwritten_key, unpack(actors))) do
        if entry then
            local event = first + 4 * (n - 1)
            local written_seq = tonumber(ARGV[event + 1])
            local state, first_seq = string.match(entry, '^(%d+ %d) (%d+)$')
            if first_seq and written_seq >= tonumber(first_seq) then
                count_change(count_key, large_key, ARGV[event + 2], name)
                redis.call('HSET', unwritten_key, actors[n], state)
            end
            if tonumber(string.match(entry, '^%d+')) <= written_seq then
                settled[#settled + 1] = actors[n]
                settled_buckets[#settled] = ARGV[event + 3]
            end
        end
    end
    if #settled > 0 then
        redis.call('HDEL', unwritten_key, unpack(settled))
        -- What was looked up before this is refused.
        if redis.call('EXISTS', large_key) == 1 then
            for _, bucket in ipairs(settled_buckets) do redis.call('HINCRBY', large_key, bucket, 1) end
        end
    end
end
return 'done'
