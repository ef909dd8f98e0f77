-- Forgets closed windows whose rows are in the tables. Repeats do nothing: a closing name is never reused.
-- KEYS[1] windows:due   KEYS[2..] closing:{name}:{serial}
for i = 2, #KEYS do
    local page_of = string.match(KEYS[i], '^closing:(.+):early:%d+$')
    if page_of and redis.call('EXISTS', KEYS[i]) == 1 then
        redis.call('HINCRBY', 'window:' .. page_of, '~e', -1)
    end
    for held in string.gmatch(redis.call('HGET', KEYS[i], '~p') or '', '%S+') do
        redis.call('ZREM', 'windows:held:' .. held, KEYS[i])
    end
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], KEYS[i])
end
return #KEYS - 1
