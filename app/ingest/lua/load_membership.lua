-- Loads a count and its members into Redis, as read from PostgreSQL, unless they are there already: what
-- Redis has is newer than any table.
-- KEYS[1] count   KEYS[2] set of members   KEYS[3] post:owner:{post}, or the count again
-- ARGV    owner ("" = none to keep), the load token: watermark and enabled token as read before the tables
--         ("*" = there is nothing to read), then the members
-- Returns the current count, or -1 if the tables were cleared meanwhile or during a failover.
local enabled_token = redis.call('GET', 'ingress:enabled')
if not enabled_token then return -1 end
if ARGV[2] ~= '*' and (redis.call('EXISTS', 'clear:running') == 1
    or (redis.call('GET', 'clear:watermark') or '') .. ' ' .. enabled_token ~= ARGV[2]) then return -1 end
local count = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' then redis.call('SET', KEYS[3], ARGV[1]) end
if count then return tonumber(count) end
redis.call('DEL', KEYS[2])
-- unpack() is limited to about 8,000 values: add the members in pages.
for first = 3, #ARGV, 1000 do
    redis.call('SADD', KEYS[2], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('SET', KEYS[1], #ARGV - 2)
return #ARGV - 2
