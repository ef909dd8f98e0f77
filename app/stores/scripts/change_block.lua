-- A block between two people is made or ends: notes it in their sets, as far as those are there, and lets
-- these be read afresh soon, should the change not come to its end.
-- KEYS[1] follow:blocked:{user}   KEYS[2] follow:blocked:{other}   KEYS[3] follow:blocks:version, raised with
--         each change: who read the table before it must not fill   KEYS[4] follow:blocks:changing
-- ARGV    user, other, "block" | "unblock" | "" (only that a change is under way), how long (ms)
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
