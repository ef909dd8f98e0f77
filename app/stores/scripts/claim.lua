-- Claims windows that are due, for a lease. A claimed window is renamed, so that what arrives from now on
-- opens a fresh one; a lease that ran out (its flusher died) is claimed again under the same name.
--
-- KEYS[1] windows:due
-- ARGV    now ms, lease ms, most windows, most rows
-- Returns per claimed window: its closing name and its hash.
local WAIT_MS = 250
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local claimed, rows = {}, 0

local function close(name)
    local window = 'window:' .. name
    local waiting = tonumber(redis.call('HGET', window, '~g') or 0)
    -- Its end tells of the pages that were written early, so it waits for those: their flusher may have
    -- died, and a page that is written after the end would never be told.
    if tonumber(redis.call('HGET', window, '~e') or 0) > 0 then
        redis.call('ZADD', KEYS[1], ARGV[1] + WAIT_MS, name)
        return nil
    end
    redis.call('ZREM', KEYS[1], name)
    if waiting == 0 and not redis.call('HGET', window, '~owed') then
        redis.call('DEL', window)
        return nil
    end
    local closing = 'closing:' .. name .. ':' .. redis.call('INCR', 'windows:serial')
    redis.call('RENAME', window, closing)
    for held in string.gmatch(redis.call('HGET', closing, '~p') or '', '%S+') do
        local first = redis.call('ZSCORE', 'windows:held:' .. held, name)
        if first then
            redis.call('ZREM', 'windows:held:' .. held, name)
            redis.call('ZADD', 'windows:held:' .. held, first, closing)
        end
    end
    return closing
end

for _, name in ipairs(due) do
    if rows >= tonumber(ARGV[4]) then break end
    local closing = string.sub(name, 1, 8) == 'closing:' and name or close(name)
    if closing then
        local entries = redis.call('HGETALL', closing)
        if #entries == 0 then
            redis.call('ZREM', KEYS[1], closing)
        else
            redis.call('ZADD', KEYS[1], ARGV[1] + ARGV[2], closing)
            rows = rows + #entries / 2
            claimed[#claimed + 1] = {closing, entries}
        end
    end
end
return claimed
