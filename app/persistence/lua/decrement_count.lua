-- Decrements a count for a row that cannot be written because its user was deleted. Runs once per member: one
-- that is no longer in the set or among the pending comments was subtracted before.
-- KEYS[1] count   KEYS[2] set of members | pending comments   ARGV "set" | "hash", member
-- Returns 1 if the count changed.
local removed = ARGV[1] == 'set' and redis.call('SREM', KEYS[2], ARGV[2])
    or ARGV[1] == 'hash' and redis.call('HDEL', KEYS[2], ARGV[2]) or 0
if removed == 0 or tonumber(redis.call('GET', KEYS[1]) or 0) <= 0 then return 0 end
redis.call('DECR', KEYS[1])
return 1
