-- Everything up to an offset of a partition is in Redis or the tables: remembers that, and answers what
-- Kafka need no longer keep: the lowest offset that a window still holds, else the next one.
-- KEYS[1] windows:epoch   KEYS[2] windows:applied   KEYS[3] windows:held:{partition}
-- ARGV    epoch, partition, offset
-- Returns the offset to commit, or -1 when Redis was emptied meanwhile.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local offset = math.max(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1))
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', offset))
-- A window may hold a higher one: of a member that reads on, and whose instants are not written yet.
local lowest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return math.min(offset + 1, tonumber(lowest[2] or offset + 1))
