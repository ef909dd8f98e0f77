-- Has the rows of open windows written now; their announcements keep their time, and their places stay
-- taken (as gather.lua does with a window that is full).
-- KEYS[1] windows:due   ARGV names of windows
-- Returns the names of the pages this made.
local closings = {}

local function write_early(name, window)
    local early = 'closing:' .. name .. ':early:' .. redis.call('INCR', 'windows:serial')
    local taken = redis.call('HGET', window, '~n')
    local unsettled = tonumber(redis.call('HGET', window, '~e') or 0) + 1
    redis.call('HSET', window, '~early', '1')
    redis.call('RENAME', window, early)
    redis.call('ZADD', KEYS[1], 0, early)
    for held in string.gmatch(redis.call('HGET', early, '~p') or '', '%S+') do
        local first = redis.call('ZSCORE', 'windows:held:' .. held, name)
        if first then
            redis.call('ZREM', 'windows:held:' .. held, name)
            redis.call('ZADD', 'windows:held:' .. held, first, early)
        end
    end
    redis.call('HSET', window, '~n', taken, '~g', 0, '~owed', '1', '~e', unsettled, '~p', '')
    closings[#closings + 1] = early
end

for _, name in ipairs(ARGV) do
    if tonumber(redis.call('HGET', 'window:' .. name, '~g') or 0) > 0 then
        write_early(name, 'window:' .. name)
    end
end
return closings
