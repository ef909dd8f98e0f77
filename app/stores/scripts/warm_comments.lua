-- The number of comments of a post: the written ones (ARGV) and the pending ones that are not among them.
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   ARGV the fence seen before the
-- tables were read, then the ids of written comments
-- Returns the count that holds now, or -1: the tables were cleared meanwhile.
if redis.call('EXISTS', 'clear:running') == 1
    or (redis.call('GET', 'clear:fence') or '') ~= ARGV[1] then return -1 end
table.remove(ARGV, 1)
local count = redis.call('GET', KEYS[1])
if count then return tonumber(count) end
local both, written = 0, {}
for _, id in ipairs(ARGV) do written[id] = true end
local pending = redis.call('HKEYS', KEYS[2])
for _, id in ipairs(pending) do if written[id] then both = both + 1 end end
redis.call('SET', KEYS[1], #ARGV + #pending - both)
return #ARGV + #pending - both
