-- Offers a batch of events of one partition to their windows. The rule is domain/windows.py's `Window`.
--
-- KEYS[1] windows:epoch     lost with everything else when Redis is emptied: then the caller rewinds
-- KEYS[2] windows:applied   partition -> highest offset whose effect is in Redis or the tables
-- KEYS[3] windows:due       window -> due time
-- KEYS[4] windows:held:{partition}   window -> its lowest offset: Kafka must keep what starts there
-- and, named by the events: window:{name}, a hash: member -> "seq verdict payload", ~n distinct members,
--         ~g waiting for the tables, ~owed an early write was made, ~e of those not settled yet,
--         ~p partitions it has events of
-- ARGV    epoch, partition, max rows, then per event:
--         name, member, seq, active, offset, places, due, payload
-- Returns {"lost"} or one verdict per event.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local partition, max_rows = ARGV[2], tonumber(ARGV[3])
local applied = tonumber(redis.call('HGET', KEYS[2], partition) or -1)
local fence = tonumber(redis.call('GET', 'clear:fence') or 0)
local verdicts = {}
local counted, merged = 0, 0

local function write_early(name, window)
    -- Its rows go to the tables now; its announcement keeps its time, and its places stay taken.
    local early = 'closing:' .. name .. ':early:' .. redis.call('INCR', 'windows:serial')
    local taken = redis.call('HGET', window, '~n')
    local unsettled = tonumber(redis.call('HGET', window, '~e') or 0) + 1
    redis.call('HSET', window, '~early', '1')
    redis.call('RENAME', window, early)
    redis.call('ZADD', KEYS[3], 0, early)
    for held in string.gmatch(redis.call('HGET', early, '~p'), '%S+') do
        local first = redis.call('ZSCORE', 'windows:held:' .. held, name)
        redis.call('ZREM', 'windows:held:' .. held, name)
        redis.call('ZADD', 'windows:held:' .. held, first, early)
    end
    redis.call('HSET', window, '~n', taken, '~g', 0, '~owed', '1', '~e', unsettled, '~p', '')
end

local function place(name, member, seq, active, offset, places, due, payload)
    if name == '' then return 'instant' end -- its kind knows no windows
    local window = 'window:' .. name
    local prior = redis.call('HGET', window, member)
    if not prior and active ~= '1' then return 'instant' end
    local verdict
    if prior then
        local prior_seq, prior_verdict = string.match(prior, '^(%d+) (%a+)')
        if tonumber(seq) <= tonumber(prior_seq) then
            return (seq == prior_seq and prior_verdict == 'instant') and 'instant' or 'seen'
        end
        verdict = prior_verdict
    else
        redis.call('ZADD', KEYS[3], 'NX', due, name)
        local taken = redis.call('HINCRBY', window, '~n', 1)
        verdict = taken <= places and 'instant' or 'gathered'
    end
    if verdict == 'instant' then
        redis.call('HSET', window, member, seq .. ' instant')
        return verdict
    end
    redis.call('HSET', window, member, seq .. ' gathered ' .. payload)
    counted = counted + 1
    if prior then merged = merged + 1 end -- the older word of this member ends here
    -- LT: read again after a crash, an older offset must win.
    if redis.call('ZADD', KEYS[4], 'LT', offset, name) == 1 then
        local partitions = redis.call('HGET', window, '~p') or ''
        redis.call('HSET', window, '~p', partitions .. ' ' .. partition)
    end
    if not prior and redis.call('HINCRBY', window, '~g', 1) >= max_rows then
        write_early(name, window)
    end
    return verdict
end

for at = 4, #ARGV, 8 do
    if tonumber(ARGV[at + 4]) <= applied then
        verdicts[#verdicts + 1] = 'seen'
    elseif tonumber(ARGV[at + 2]) <= fence then
        verdicts[#verdicts + 1] = 'instant' -- cleared since: the ledger says so, and no place is taken
    else
        verdicts[#verdicts + 1] = place(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3],
            ARGV[at + 4], tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7])
    end
end
if counted > 0 then redis.call('HINCRBY', 'stage:flusher', 'in', counted) end
if merged > 0 then redis.call('HINCRBY', 'stage:flusher', 'merged', merged) end
return verdicts
