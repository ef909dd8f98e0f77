-- Drops pending follows whose rows are in the tables, unless a newer event was accepted since.
-- KEYS follow:pending:{actor}, one per follow   ARGV per follow: followed person, seq of the row
for i, name in ipairs(KEYS) do
    local other, seq = ARGV[2 * i - 1], ARGV[2 * i]
    local kept = redis.call('HGET', name, other)
    if kept and tonumber(string.match(kept, '^%d+')) <= tonumber(seq) then
        redis.call('HDEL', name, other)
    end
end
return 'done'
