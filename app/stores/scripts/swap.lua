-- Puts a value in the place of the one that the caller saw.
-- KEYS[1] a key   ARGV what was seen, what is to be, seconds to live
-- Returns 1 if it was still there.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
