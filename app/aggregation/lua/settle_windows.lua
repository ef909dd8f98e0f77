-- Removes closed windows whose rows are in the tables. Repeats do nothing: a closing name is never reused.
-- Counts the outcomes of their events in the same step, once.
-- KEYS[1] windows:due   KEYS[2..] closing:{name}:{id}
-- ARGV    per outcome: its name, how many
local events = 0
for i = 2, #KEYS do
    local flushed_from = string.match(KEYS[i], '^closing:(.+):flush:%d+$')
    if flushed_from and redis.call('EXISTS', KEYS[i]) == 1 then
        redis.call('HINCRBY', 'window:' .. flushed_from, '~unsettled_flushes', -1)
    end
    for partition_name in string.gmatch(redis.call('HGET', KEYS[i], '~partitions') or '', '%S+') do
        redis.call('ZREM', 'windows:min_offset:' .. partition_name, KEYS[i])
    end
    events = events + tonumber(redis.call('HGET', KEYS[i], '~gathered') or 0)
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], KEYS[i])
end
if events > 0 then
    -- The sum is the number of events in the windows. Events named twice, or settled by another flusher, are merged.
    local merged = events
    for i = 1, #ARGV, 2 do
        local count = math.min(merged, tonumber(ARGV[i + 1]))
        if ARGV[i] ~= 'merged' and count > 0 then
            redis.call('HINCRBY', 'stage:flusher', ARGV[i], count)
            merged = merged - count
        end
    end
    if merged > 0 then redis.call('HINCRBY', 'stage:flusher', 'merged', merged) end
end
return #KEYS - 1
