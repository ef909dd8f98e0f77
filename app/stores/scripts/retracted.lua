-- The tables know by now that these comments are deleted. They are remembered for a while longer, for
-- whoever read the tables a moment ago: then all of them may go.
-- KEYS[1] comment:gone:{post}   ARGV now ms, how long ms, then ids
local now, long = tonumber(ARGV[1]), tonumber(ARGV[2])
for at = 3, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now, ARGV[at]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, now - long)
if redis.call('ZCOUNT', KEYS[1], 0, 0) == 0 then redis.call('PEXPIRE', KEYS[1], long) end
return 'done'
