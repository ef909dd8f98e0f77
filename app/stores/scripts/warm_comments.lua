-- The number of comments of a post: the written ones (ARGV) and the pending ones that are not among them,
-- but none that was deleted.
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   KEYS[3] comment:gone:{post}   ARGV the fence and the gate
-- seen before the tables were read, then the ids of written comments
-- Returns the count that holds now, or -1: the tables were cleared meanwhile, or the gate is closed.
local gate = redis.call('GET', 'ingress:open')
if not gate or redis.call('EXISTS', 'clear:running') == 1
    or (redis.call('GET', 'clear:fence') or '') .. ' ' .. gate ~= ARGV[1] then return -1 end
table.remove(ARGV, 1)
local count = redis.call('GET', KEYS[1])
if count then return tonumber(count) end
local gone, known, all = {}, {}, 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do gone[id] = true end
for _, list in ipairs({ARGV, redis.call('HKEYS', KEYS[2])}) do
    for _, id in ipairs(list) do
        if not known[id] and not gone[id] then all = all + 1 end
        known[id] = true
    end
end
redis.call('SET', KEYS[1], all)
return all
