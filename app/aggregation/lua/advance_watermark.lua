-- Records that everything up to an offset of a partition is in Redis or the tables, and returns the offset
-- to commit: the lowest one that a window still needs, else the next one.
-- KEYS[1] windows:epoch   KEYS[2] windows:applied   KEYS[3] windows:min_offset:{partition}
-- ARGV    epoch, partition, offset
-- Returns the offset to commit, or -1 when Redis was emptied meanwhile.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local offset = math.max(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1))
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', offset))
-- A window may need a higher one: of a consumer that reads on, and whose instant events are not written yet.
local lowest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return math.min(offset + 1, tonumber(lowest[2] or offset + 1))
