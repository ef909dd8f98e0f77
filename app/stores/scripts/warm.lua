-- Makes a standing known to Redis, as it was read from PostgreSQL, unless somebody was faster: what is
-- there already is newer than any table.
-- KEYS[1] count   KEYS[2] set of members   KEYS[3] post:owner:{post}, or the count again
-- ARGV    owner ("" = none to keep), the fence and the gate seen before the tables were read ("*" = there
--         is nothing to read), then the members
-- Returns the count that holds now, or -1: the tables were cleared meanwhile, or the gate is closed.
local gate = redis.call('GET', 'ingress:open')
if not gate then return -1 end
if ARGV[2] ~= '*' and (redis.call('EXISTS', 'clear:running') == 1
    or (redis.call('GET', 'clear:fence') or '') .. ' ' .. gate ~= ARGV[2]) then return -1 end
local count = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' then redis.call('SET', KEYS[3], ARGV[1]) end
if count then return tonumber(count) end
redis.call('DEL', KEYS[2])
-- unpack() has room for some 8,000 values: fill the set in pages.
for first = 3, #ARGV, 1000 do
    redis.call('SADD', KEYS[2], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('SET', KEYS[1], #ARGV - 2)
return #ARGV - 2
