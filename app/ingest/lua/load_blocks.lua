-- Loads the blocks of one user into Redis, as read from PostgreSQL.
-- KEYS[1] follow:blocked:{user}   KEYS[2] follow:blocks:version   KEYS[3] follow:blocks:changing
-- KEYS[4] ingress:enabled   KEYS[5] clear:watermark   KEYS[6] membership:idle
-- ARGV    time to live of a set that was read during a change (ms); name in KEYS[6]; the load token: watermark, enabled
--         token and version as read before the table ("*" = there is nothing to read); then the users with whom a
--         block exists
-- Returns 1, or 0 if something changed meanwhile.
local enabled_token = redis.call('GET', KEYS[4])
if not enabled_token then return 0 end
local load_token = (redis.call('GET', KEYS[5]) or '') .. ' ' .. enabled_token .. ' ' .. (redis.call('GET', KEYS[2]) or '')
if ARGV[3] ~= '*' and load_token ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[6], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('SADD', KEYS[1], '')
for first = 4, #ARGV, 1000 do
    redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
