-- Replaces a value if it is the one that the caller read.
-- KEYS[1] a key   ARGV expected value, new value, seconds to live
-- Returns 1 if it was replaced.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
