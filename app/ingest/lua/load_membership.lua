-- Loads a count and its members into Redis, as read from PostgreSQL, unless they are there already: what
-- Redis has is newer than any table.
-- KEYS[1] count   KEYS[2] set of members   KEYS[3] large: present = the set is not used   KEYS[4] post:owner:{post}, or
--         the count again   KEYS[5] the members, as loaded before this call   KEYS[6] membership:idle
-- KEYS[7] ingress:enabled   KEYS[8] clear:watermark   KEYS[9] clear:running
-- ARGV    owner ("" = none to keep), load token: watermark and enabled token as read before the tables
--         ("*" = there is nothing to read), deadline ms, count, number of members in KEYS[5],
--         id of this load of a large object ("" = not large), name in KEYS[6]
-- Returns the current count, or -1 if what was read may be out of date.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function refuse()
    redis.call('UNLINK', KEYS[5])
    return -1
end
-- Later, the object may have been loaded, changed, written and evicted since the tables were read.
if now > tonumber(ARGV[3]) then return refuse() end
local enabled_token = redis.call('GET', KEYS[7])
if not enabled_token then return refuse() end
if ARGV[2] ~= '*' and (redis.call('EXISTS', KEYS[9]) == 1
    or (redis.call('GET', KEYS[8]) or '') .. ' ' .. enabled_token ~= ARGV[2]) then return refuse() end
if redis.call('SCARD', KEYS[5]) ~= tonumber(ARGV[5]) then return refuse() end
if ARGV[1] ~= '' then redis.call('SET', KEYS[4], ARGV[1], 'NX') end -- "" stays: the post is deleted
redis.call('ZADD', KEYS[6], now, ARGV[7])
local count = redis.call('GET', KEYS[1])
if count then
    redis.call('UNLINK', KEYS[5])
    return tonumber(count)
end
redis.call('UNLINK', KEYS[2], KEYS[3])
if ARGV[6] ~= '' then
    redis.call('HSET', KEYS[3], 'id', ARGV[6])
elseif ARGV[5] ~= '0' then
    redis.call('RENAME', KEYS[5], KEYS[2])
    redis.call('PERSIST', KEYS[2])
end
redis.call('SET', KEYS[1], ARGV[4])
return tonumber(ARGV[4])
