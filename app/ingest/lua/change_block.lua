-- Updates the block sets of two users, where they are loaded, and lets them expire soon, in case the
-- transaction behind the change does not commit.
-- KEYS[1] follow:blocked:{user}   KEYS[2] follow:blocked:{other}   KEYS[3] follow:blocks:version, incremented by
--         each change: values read from the table before must not be loaded   KEYS[4] follow:blocks:changing
-- ARGV    user, other, "block" | "unblock" | "" (a change has started), time to live of the sets (ms)
redis.call('INCR', KEYS[3])
redis.call('SET', KEYS[4], '1', 'PX', ARGV[4])
for i = 1, 2 do
    if redis.call('EXISTS', KEYS[i]) == 1 then
        if ARGV[3] == 'block' then redis.call('SADD', KEYS[i], ARGV[3 - i]) end
        if ARGV[3] == 'unblock' then redis.call('SREM', KEYS[i], ARGV[3 - i]) end
        redis.call('PEXPIRE', KEYS[i], ARGV[4])
    end
end
return 'done'
