-- Forgets what words past Redis made out of date. The gate is closed, so nobody can load it again yet.
-- KEYS[1] ingress:kept
-- ARGV    what shows that Redis was not emptied, then the keys to forget
for first = 2, #ARGV, 1000 do
    redis.call('UNLINK', unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('SET', KEYS[1], ARGV[1])
return 'forgotten'
