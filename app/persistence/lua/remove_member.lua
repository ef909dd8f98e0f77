-- Removes the like or follow of a deleted user, and counts it once. May be repeated.
-- KEYS[1] count   KEYS[2] set of members   KEYS[3] unwritten   KEYS[4] large   KEYS[5] membership:idle
-- ARGV    user, 1 if the user had an active row, 0 for an event that found no user, name of the object in KEYS[5]
-- Returns 1 if the count changed.
local unwritten = redis.call('HGET', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
local is_active
if redis.call('EXISTS', KEYS[4]) == 0 then
    is_active = redis.call('SREM', KEYS[2], ARGV[1]) == 1
elseif unwritten then
    local state, uncounted = string.match(unwritten, '^%d+ (%d)(.*)$')
    is_active = state == '1'
    redis.call('HSET', KEYS[4], ARGV[1], '') -- the row of this user is counted by the same entry
    if uncounted ~= '' then
        -- Whether it was counted is not known: the count is loaded again once nothing is unwritten.
        local time = redis.call('TIME')
        redis.call('HSETNX', KEYS[4], 'recount', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
        redis.call('ZADD', KEYS[5], 0, ARGV[3])
    end
else
    -- The field marks the user as subtracted, for a repeated call.
    is_active = ARGV[2] == '1' and redis.call('HSETNX', KEYS[4], ARGV[1], '') == 1
end
if not is_active or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('DECR', KEYS[1])
return 1
