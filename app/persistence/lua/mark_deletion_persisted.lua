-- Marks comment deletions as persisted. They are kept for ttl_ms, for readers that read the tables just
-- before; then the key expires.
-- KEYS[1] comment:deleted:{post}   ARGV now ms, ttl ms, then comment ids
local now, ttl_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, now - ttl_ms)
if redis.call('ZCOUNT', KEYS[1], 0, 0) == 0 then redis.call('PEXPIRE', KEYS[1], ttl_ms) end
return 'done'
