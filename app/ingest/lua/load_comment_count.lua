-- Loads the number of comments of a post: the written ones (ARGV) and the pending ones that are not among
-- them, without deleted ones.
-- KEYS[1] comment:count:{post}   KEYS[2] comment:pending:{post}   KEYS[3] comment:deleted:{post}   ARGV the load
-- token (watermark and enabled token as read before the tables), then the ids of written comments
-- Returns the current count, or -1 if the tables were cleared meanwhile or during a failover.
local enabled_token = redis.call('GET', 'ingress:enabled')
if not enabled_token or redis.call('EXISTS', 'clear:running') == 1
    or (redis.call('GET', 'clear:watermark') or '') .. ' ' .. enabled_token ~= ARGV[1] then return -1 end
table.remove(ARGV, 1)
local count = redis.call('GET', KEYS[1])
if count then return tonumber(count) end
local deleted, counted, total = {}, {}, 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do deleted[id] = true end
for _, list in ipairs({ARGV, redis.call('HKEYS', KEYS[2])}) do
    for _, id in ipairs(list) do
        if not counted[id] and not deleted[id] then total = total + 1 end
        counted[id] = true
    end
end
redis.call('SET', KEYS[1], total)
return total
