-- Removes unwritten likes and follows whose rows are written, unless a newer event was accepted since, and counts
-- those whose previous state was unknown when they were accepted (app/ingest/lua/set_membership.lua).
-- KEYS[1] membership:idle, then per event: count, unwritten, large
-- ARGV    per event: actor, seq of the row, previous state of the row (0 | 1 | "" = not known), bucket of the actor,
--         name of the object in KEYS[1]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local function count_change(count_key, large_key, assumed, previous, name)
    if previous == '' then
        -- The count is loaded again once nothing is unwritten.
        redis.call('HSETNX', large_key, 'recount', now)
        redis.call('ZADD', KEYS[1], 0, name)
    elseif assumed ~= previous then
        local count = tonumber(redis.call('GET', count_key) or -1)
        if assumed == '1' and count >= 0 then redis.call('INCR', count_key) end
        if assumed == '0' and count > 0 then redis.call('DECR', count_key) end
    end
end

for i = 2, #KEYS, 3 do
    local at = (i - 2) / 3 * 5
    local actor, written_seq, previous = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    local entry = redis.call('HGET', KEYS[i + 1], actor)
    if entry then
        local state, first_seq, assumed = string.match(entry, '^(%d+ %d) (%d+) (%d)$')
        if first_seq and written_seq >= tonumber(first_seq) then
            count_change(KEYS[i], KEYS[i + 2], assumed, previous, ARGV[at + 5])
            redis.call('HSET', KEYS[i + 1], actor, state)
        end
        if tonumber(string.match(entry, '^%d+')) <= written_seq then
            redis.call('HDEL', KEYS[i + 1], actor)
            -- What was looked up before this is refused.
            if redis.call('EXISTS', KEYS[i + 2]) == 1 then redis.call('HINCRBY', KEYS[i + 2], ARGV[at + 4], 1) end
        end
    end
end
return 'done'
