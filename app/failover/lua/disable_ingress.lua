-- Stops writes through Redis, if the token is the one that the caller read.
-- KEYS[1] ingress:enabled   ARGV the token read
-- Returns 1 if this call did it.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
