-- Decrements the comment count for a comment that cannot be written because its user was deleted. Runs once per
-- comment: one that is no longer among the pending comments was subtracted before.
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   ARGV comment id
-- Returns 1 if the count changed.
if redis.call('HDEL', KEYS[2], ARGV[1]) == 0 or tonumber(redis.call('GET', KEYS[1]) or 0) <= 0 then return 0 end
redis.call('DECR', KEYS[1])
return 1
