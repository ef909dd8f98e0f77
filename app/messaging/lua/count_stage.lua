-- Counts the outcomes of a batch. Partitions say where it was read; offsets that were counted before are not
-- counted again, so a batch that is read twice counts once.
--
-- KEYS[1] stage:{name}   outcome -> how many   KEYS[2] stage:{name}:offsets   partition -> last offset counted
-- ARGV    number of partitions, then per partition: its name, last offset, how many were read,
--         then per outcome: its name, how many
-- Returns how many were counted.
local index, repeated = 2, 0
for _ = 1, tonumber(ARGV[1]) do
    local last, count = tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2])
    local before = tonumber(redis.call('HGET', KEYS[2], ARGV[index]) or -1)
    if before >= 0 then repeated = repeated + count - math.max(0, math.min(count, last - before)) end
    redis.call('HSET', KEYS[2], ARGV[index], string.format('%.0f', math.max(last, before)))
    index = index + 3
end
local counted = 0
-- Repeated events have the outcome "merged", so those are skipped first.
for pass = 1, 2 do
    for i = index, #ARGV, 2 do
        if (ARGV[i] == 'merged') == (pass == 1) then
            local count = tonumber(ARGV[i + 1])
            local skipped = math.min(count, repeated)
            repeated = repeated - skipped
            counted = counted + count - skipped
            if count > skipped then redis.call('HINCRBY', KEYS[1], ARGV[i], count - skipped) end
        end
    end
end
return counted
