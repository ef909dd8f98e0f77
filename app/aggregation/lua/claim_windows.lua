-- Claims due windows for a lease. A claimed window is renamed, so that later events open a new one. A
-- window whose lease expired (its flusher died) is claimed again under the same name.
--
-- KEYS[1] windows:due
-- ARGV    now ms, lease ms, max windows, max rows
-- Returns per claimed window: its closing name, 1 if it is a flush of an open window, and the values of its hash.
local WAIT_MS = 250
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local claimed, rows = {}, 0

local function close(name)
    local window = 'window:' .. name
    local gathered = tonumber(redis.call('HGET', window, '~gathered') or 0)
    -- Its announcement includes the parts that were flushed, so it waits for those: their flusher may have
    -- died, and a part that is written after the announcement would never be announced.
    if tonumber(redis.call('HGET', window, '~unsettled_flushes') or 0) > 0 then
        redis.call('ZADD', KEYS[1], ARGV[1] + WAIT_MS, name)
        return nil
    end
    redis.call('ZREM', KEYS[1], name)
    if gathered == 0 and not redis.call('HGET', window, '~unannounced') then
        redis.call('DEL', window)
        return nil
    end
    local closing = 'closing:' .. name .. ':' .. redis.call('INCR', 'windows:next_id')
    redis.call('RENAME', window, closing)
    for partition_name in string.gmatch(redis.call('HGET', closing, '~partitions') or '', '%S+') do
        local first = redis.call('ZSCORE', 'windows:min_offset:' .. partition_name, name)
        if first then
            redis.call('ZREM', 'windows:min_offset:' .. partition_name, name)
            redis.call('ZADD', 'windows:min_offset:' .. partition_name, first, closing)
        end
    end
    return closing
end

for _, name in ipairs(due) do
    if rows >= tonumber(ARGV[4]) then break end
    local closing = string.sub(name, 1, 8) == 'closing:' and name or close(name)
    if closing then
        local values = redis.call('HVALS', closing)
        if #values == 0 then
            redis.call('ZREM', KEYS[1], closing)
        else
            redis.call('ZADD', KEYS[1], ARGV[1] + ARGV[2], closing)
            rows = rows + #values
            claimed[#claimed + 1] = {closing, redis.call('HEXISTS', closing, '~is_flush'), values}
        end
    end
end
return claimed
