-- Sets each count to the size of its set. In one step, so no write can come between. The count of a large object
-- is loaded from PostgreSQL again once nothing of it is unwritten.
-- KEYS[1] membership:idle, then per object: count, set, large
-- ARGV    per object: name in KEYS[1]
-- Returns how many counts were wrong.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local wrong = 0
for i = 2, #KEYS, 3 do
    local count = redis.call('GET', KEYS[i])
    if redis.call('EXISTS', KEYS[i + 2]) == 1 then
        redis.call('HSETNX', KEYS[i + 2], 'recount', now)
        redis.call('ZADD', KEYS[1], 0, ARGV[(i + 1) / 3])
    else
        local size = redis.call('SCARD', KEYS[i + 1])
        if count and tonumber(count) ~= size then
            redis.call('SET', KEYS[i], size)
            wrong = wrong + 1
        end
    end
end
return wrong
