-- Loads the number of comments of a post, as counted from PostgreSQL and the pending ones, unless it is loaded.
-- While it is not, no comment of the post is accepted or deleted, so what was read cannot be out of date.
-- KEYS[1] comment:count:{post}   KEYS[2] ingress:enabled   KEYS[3] clear:watermark   KEYS[4] clear:running
-- KEYS[5] membership:idle
-- ARGV    load token (watermark and enabled token as read before), deadline ms, count, name in KEYS[5]
-- Returns the current count, or -1 if the tables were cleared meanwhile, during a failover or after the deadline.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[2]) then return -1 end
local enabled_token = redis.call('GET', KEYS[2])
if not enabled_token or redis.call('EXISTS', KEYS[4]) == 1
    or (redis.call('GET', KEYS[3]) or '') .. ' ' .. enabled_token ~= ARGV[1] then return -1 end
redis.call('ZADD', KEYS[5], now, ARGV[4])
redis.call('SET', KEYS[1], ARGV[3], 'NX')
return tonumber(redis.call('GET', KEYS[1]))
