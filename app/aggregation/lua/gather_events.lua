-- Offers a batch of events of one partition to their windows. The first distinct actors of a window are instant,
-- up to the quota; the others are gathered. An actor who returns keeps their decision.
--
-- KEYS[1] windows:epoch     lost with everything else when Redis is emptied: then the caller rewinds
-- KEYS[2] windows:applied   partition -> highest offset whose effect is in Redis or the tables
-- KEYS[3] windows:due       window -> due time
-- KEYS[4] windows:min_offset:{partition}   window -> its lowest offset: Kafka must keep what starts there
-- and, with names built from the events: window:{name}, a hash: member -> "seq decision payload";
--         ~size: distinct members; ~gathered: events that wait for the tables; ~partitions: those it has events
--         of; ~unannounced: some rows were flushed before the window closes; ~unsettled_flushes: such flushes
--         that are not settled yet; ~is_flush: this hash is one
-- ARGV    epoch, partition, max rows, then per event:
--         name, member, seq, active, offset, instant quota, due ms, payload
-- Returns {"epoch_changed"} or one decision per event.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'epoch_changed'} end
local partition, max_rows = ARGV[2], tonumber(ARGV[3])
local applied = tonumber(redis.call('HGET', KEYS[2], partition) or -1)
local watermark = tonumber(redis.call('GET', 'clear:watermark') or 0)
local decisions = {}
local counted, merged = 0, 0

local function flush_window(name, window)
    -- Its rows are written now; its announcement keeps its time, and its instant quota stays used.
    local flushed = 'closing:' .. name .. ':flush:' .. redis.call('INCR', 'windows:next_id')
    local size = redis.call('HGET', window, '~size')
    local unsettled_flushes = tonumber(redis.call('HGET', window, '~unsettled_flushes') or 0) + 1
    redis.call('HSET', window, '~is_flush', '1')
    redis.call('RENAME', window, flushed)
    redis.call('ZADD', KEYS[3], 0, flushed)
    for partition_name in string.gmatch(redis.call('HGET', flushed, '~partitions'), '%S+') do
        local first = redis.call('ZSCORE', 'windows:min_offset:' .. partition_name, name)
        redis.call('ZREM', 'windows:min_offset:' .. partition_name, name)
        redis.call('ZADD', 'windows:min_offset:' .. partition_name, first, flushed)
    end
    redis.call('HSET', window, '~size', size, '~gathered', 0, '~unannounced', '1', '~unsettled_flushes', unsettled_flushes, '~partitions', '')
end

local function offer(name, member, seq, active, offset, instant_quota, due, payload)
    if name == '' then return 'instant' end -- this kind has no windows
    local window = 'window:' .. name
    local prior = redis.call('HGET', window, member)
    if not prior and active ~= '1' then return 'instant' end
    local decision
    if prior then
        local prior_seq, prior_decision = string.match(prior, '^(%d+) (%a+)')
        if tonumber(seq) <= tonumber(prior_seq) then
            return (seq == prior_seq and prior_decision == 'instant') and 'instant' or 'duplicate'
        end
        decision = prior_decision
    else
        redis.call('ZADD', KEYS[3], 'NX', due, name)
        local size = redis.call('HINCRBY', window, '~size', 1)
        decision = size <= instant_quota and 'instant' or 'gathered'
    end
    if decision == 'instant' then
        redis.call('HSET', window, member, seq .. ' instant')
        return decision
    end
    redis.call('HSET', window, member, seq .. ' gathered ' .. payload)
    counted = counted + 1
    if prior then merged = merged + 1 end -- replaces the older event of this member
    -- LT: read again after a crash, an older offset must win.
    if redis.call('ZADD', KEYS[4], 'LT', offset, name) == 1 then
        local partitions = redis.call('HGET', window, '~partitions') or ''
        redis.call('HSET', window, '~partitions', partitions .. ' ' .. partition)
    end
    if not prior and redis.call('HINCRBY', window, '~gathered', 1) >= max_rows then
        flush_window(name, window)
    end
    return decision
end

for at = 4, #ARGV, 8 do
    if tonumber(ARGV[at + 4]) <= applied then
        decisions[#decisions + 1] = 'duplicate'
    elseif tonumber(ARGV[at + 2]) <= watermark then
        decisions[#decisions + 1] = 'instant' -- older than the last clear: dropped later, and uses no quota
    else
        decisions[#decisions + 1] = offer(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3],
            ARGV[at + 4], tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7])
    end
end
if counted > 0 then redis.call('HINCRBY', 'stage:flusher', 'in', counted) end
if merged > 0 then redis.call('HINCRBY', 'stage:flusher', 'merged', merged) end
return decisions
