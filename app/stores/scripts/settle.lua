-- Forgets closed windows whose rows are in the tables. Repeats do nothing: a closing name is never reused.
-- What became of their events is counted in the same step, once.
-- KEYS[1] windows:due   KEYS[2..] closing:{name}:{serial}
-- ARGV    per outcome: its name, how many
local events = 0
for i = 2, #KEYS do
    local page_of = string.match(KEYS[i], '^closing:(.+):early:%d+$')
    if page_of and redis.call('EXISTS', KEYS[i]) == 1 then
        redis.call('HINCRBY', 'window:' .. page_of, '~e', -1)
    end
    for held in string.gmatch(redis.call('HGET', KEYS[i], '~p') or '', '%S+') do
        redis.call('ZREM', 'windows:held:' .. held, KEYS[i])
    end
    events = events + tonumber(redis.call('HGET', KEYS[i], '~g') or 0)
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], KEYS[i])
end
if events > 0 then
    -- The sum is what the windows held; one that is named twice, or that another flusher settled, is merged.
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
