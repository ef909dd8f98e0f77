-- Removes pending follows whose rows are written, unless a newer event was accepted since.
-- KEYS follow:pending:{actor}, one per follow   ARGV per follow: followed user id, seq of the row
for i, key in ipairs(KEYS) do
    local followed_id, seq = ARGV[2 * i - 1], ARGV[2 * i]
    local pending = redis.call('HGET', key, followed_id)
    if pending and tonumber(string.match(pending, '^%d+')) <= tonumber(seq) then
        redis.call('HDEL', key, followed_id)
    end
end
return 'done'
