-- Removes a post or a user from Redis if it was not used for a while and PostgreSQL has all its events. Then a
-- reader finds the same in the tables, and the next writer loads it again.
-- KEYS[1] membership:idle   KEYS[2] like:unwritten:{post} | follow:unwritten:{user}   KEYS[3] comment:pending:{post}
-- KEYS[4] comment:deleted:{post}   KEYS[5] large   KEYS[6] post:owner:{post}   KEYS[7..] counts and members
-- ARGV    name in KEYS[1], how long it must be idle (ms), how long after its count became uncertain (ms)
-- Returns 1 if it was removed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last_use = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not last_use then return 0 end
local uncertain_since = redis.call('HGET', KEYS[5], 'recount')
local is_due
if uncertain_since then
    is_due = now - tonumber(uncertain_since) >= tonumber(ARGV[3])
else
    is_due = now - tonumber(last_use) >= tonumber(ARGV[2])
    if not is_due then return 0 end
end
if not is_due or redis.call('HLEN', KEYS[2]) > 0 or redis.call('HLEN', KEYS[3]) > 0
    or redis.call('ZCOUNT', KEYS[4], 0, 0) > 0 then
    -- Check again later.
    redis.call('ZADD', KEYS[1], uncertain_since and now - ARGV[2] + ARGV[3] or now, ARGV[1])
    return 0
end
redis.call('UNLINK', KEYS[5], unpack(KEYS, 7))
if redis.call('GET', KEYS[6]) ~= '' then redis.call('UNLINK', KEYS[6]) end -- "": a deleted post, which expires
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
