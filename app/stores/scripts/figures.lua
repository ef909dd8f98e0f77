-- Counts what a batch came to. Places are where it was read; what was counted there before is not counted
-- again, so a batch that is read twice counts once.
--
-- KEYS[1] stage:{name}   outcome -> how many   KEYS[2] stage:{name}:read   place -> last offset counted
-- ARGV    number of places, then per place: its name, last offset, how many were read,
--         then per outcome: its name, how many
-- Returns how many were counted.
local at, repeated = 2, 0
for _ = 1, tonumber(ARGV[1]) do
    local last, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local before = tonumber(redis.call('HGET', KEYS[2], ARGV[at]) or -1)
    if before >= 0 then repeated = repeated + count - math.max(0, math.min(count, last - before)) end
    redis.call('HSET', KEYS[2], ARGV[at], string.format('%.0f', math.max(last, before)))
    at = at + 3
end
local counted = 0
-- A repeat comes to "merged" first of all, so those are left out first.
for pass = 1, 2 do
    for i = at, #ARGV, 2 do
        if (ARGV[i] == 'merged') == (pass == 1) then
            local count = tonumber(ARGV[i + 1])
            local left_out = math.min(count, repeated)
            repeated = repeated - left_out
            counted = counted + count - left_out
            if count > left_out then redis.call('HINCRBY', KEYS[1], ARGV[i], count - left_out) end
        end
    end
end
return counted
