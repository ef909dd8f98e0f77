-- Makes open windows due at once. Claimed windows (closing:*) keep their lease.
-- KEYS[1] windows:due
-- ARGV    now ms
-- Returns how many became due.
local moved = 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')) do
    if string.sub(name, 1, 8) ~= 'closing:' then
        redis.call('ZADD', KEYS[1], ARGV[1], name)
        moved = moved + 1
    end
end
return moved
