-- Notes that events passed a step. The first passing stays; of all traces the newest are kept.
--
-- KEYS[1] trace:recent, a list of what is kept; and, named by the events: trace:{id}, step -> "ms detail"
-- ARGV    most traces, seconds to live, step, then per event: id, detail
-- Returns how many traces were begun.
local most, ttl, step = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local begun = 0
for i = 4, #ARGV, 2 do
    local name = 'trace:' .. ARGV[i]
    if redis.call('HSETNX', name, step, now .. ' ' .. ARGV[i + 1]) == 1
        and redis.call('HLEN', name) == 1 then
        redis.call('EXPIRE', name, ttl)
        redis.call('RPUSH', KEYS[1], ARGV[i])
        begun = begun + 1
    end
end
local excess = redis.call('LLEN', KEYS[1]) - most
if excess > 0 then
    -- A few more than begun, so that it shrinks when the bound was lowered.
    for _, id in ipairs(redis.call('LPOP', KEYS[1], math.min(excess, begun + 1000))) do
        redis.call('UNLINK', 'trace:' .. id)
    end
end
return begun
