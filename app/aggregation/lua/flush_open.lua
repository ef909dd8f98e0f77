-- Makes the rows of open windows due now; their announcements keep their time, and their instant quota
-- stays used (gather_events.lua does the same with a full window).
-- KEYS[1] windows:due   ARGV names of windows
-- Returns the names of the flushed parts.
local closings = {}

local function flush_window(name, window)
    local flushed = 'closing:' .. name .. ':flush:' .. redis.call('INCR', 'windows:next_id')
    local size = redis.call('HGET', window, '~size')
    local unsettled_flushes = tonumber(redis.call('HGET', window, '~unsettled_flushes') or 0) + 1
    redis.call('HSET', window, '~is_flush', '1')
    redis.call('RENAME', window, flushed)
    redis.call('ZADD', KEYS[1], 0, flushed)
    for partition_name in string.gmatch(redis.call('HGET', flushed, '~partitions') or '', '%S+') do
        local first = redis.call('ZSCORE', 'windows:min_offset:' .. partition_name, name)
        if first then
            redis.call('ZREM', 'windows:min_offset:' .. partition_name, name)
            redis.call('ZADD', 'windows:min_offset:' .. partition_name, first, flushed)
        end
    end
    redis.call('HSET', window, '~size', size, '~gathered', 0, '~unannounced', '1', '~unsettled_flushes', unsettled_flushes, '~partitions', '')
    closings[#closings + 1] = flushed
end

for _, name in ipairs(ARGV) do
    if tonumber(redis.call('HGET', 'window:' .. name, '~gathered') or 0) > 0 then
        flush_window(name, 'window:' .. name)
    end
end
return closings
