-- Closes the gate that the caller saw open, and no other.
-- KEYS[1] ingress:open   ARGV what was seen there
-- Returns 1 if it is closed by this.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
