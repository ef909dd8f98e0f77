-- Records that events passed a step. A step that is recorded already stays as it is; the newest traces are kept.
--
-- KEYS[1] trace:recent, a list of the ids kept; and, named by the events: trace:{id}, step -> "ms detail"
-- ARGV    max traces, seconds to live, step, then per event: id, detail
-- Returns how many traces were created.
local max_traces, ttl, step = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local created = 0
for i = 4, #ARGV, 2 do
    local name = 'trace:' .. ARGV[i]
    if redis.call('HSETNX', name, step, now .. ' ' .. ARGV[i + 1]) == 1
        and redis.call('HLEN', name) == 1 then
        redis.call('EXPIRE', name, ttl)
        redis.call('RPUSH', KEYS[1], ARGV[i])
        created = created + 1
    end
end
local excess = redis.call('LLEN', KEYS[1]) - max_traces
if excess > 0 then
    -- A few more than created, so that it shrinks when the bound was lowered.
    for _, id in ipairs(redis.call('LPOP', KEYS[1], math.min(excess, created + 1000))) do
        redis.call('UNLINK', 'trace:' .. id)
    end
end
return created
