-- Makes one person's blocks known to Redis, as they were read from PostgreSQL.
-- KEYS[1] follow:blocked:{user}   KEYS[2] follow:blocks:version   KEYS[3] follow:blocks:changing
-- ARGV    how long a set lives that was read during a change (ms); the fence, the gate and the version seen
--         before the table was read ("*" = there is nothing to read); then those with whom a block stands
-- Returns 1, or 0: something changed meanwhile.
local gate = redis.call('GET', 'ingress:open')
if not gate then return 0 end
local now = (redis.call('GET', 'clear:fence') or '') .. ' ' .. gate .. ' ' .. (redis.call('GET', KEYS[2]) or '')
if ARGV[2] ~= '*' and now ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('SADD', KEYS[1], '')
for first = 3, #ARGV, 1000 do
    redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
