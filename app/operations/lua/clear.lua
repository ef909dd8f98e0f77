-- Empties the ingress and all windows in one step, and sets the watermark: every event accepted before has a
-- seq up to it, every later one a higher seq. Counts and sets are removed; they may not be loaded again until
-- the tables are empty too (the caller then deletes clear:running).
--
-- KEYS[1] clear:watermark   KEYS[2] clear:running
-- and all of: ingress:{n}, window:*, closing:*, windows:due, windows:min_offset:*, like:*, follow:*, comment:*
-- ARGV    number of shards, group, time to live of clear:running (ms)
-- Returns the watermark, as text.
local shards, group = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function stream_key(shard) return 'ingress:' .. shard end

-- The watermark lies behind the newest entry, even if the clock was set back since.
for shard = 0, shards do
    redis.pcall('XGROUP', 'CREATE', stream_key(shard), group, '0', 'MKSTREAM')
    local info = redis.call('XINFO', 'STREAM', stream_key(shard))
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then
            ms = math.max(ms, tonumber(string.match(info[i + 1], '^%d+')))
        end
    end
end
local last_id = string.format('%.0f-0', ms + 1)
local watermark = string.format('%.0f', (ms + 1) * 1024)

local expired = 0
for shard = 0, shards do
    local name = stream_key(shard)
    expired = expired + redis.call('XLEN', name)
    redis.call('XGROUP', 'DESTROY', name, group)
    redis.call('XTRIM', name, 'MAXLEN', 0)
    redis.call('XSETID', name, last_id)
    redis.call('XGROUP', 'CREATE', name, group, '$')
end
if expired > 0 then redis.call('HINCRBY', 'stage:bridge', 'expired', expired) end

local gathered = 0
local function remove_key(name)
    local first = string.match(name, '^([^:]+):')
    if first == 'window' or first == 'closing' then
        gathered = gathered + tonumber(redis.call('HGET', name, '~gathered') or 0)
    elseif string.sub(name, 1, 19) ~= 'windows:min_offset:' and first ~= 'like' and first ~= 'follow'
        and first ~= 'comment' then
        return
    end
    redis.call('UNLINK', name)
end
local cursor = '0'
repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 1000)
    cursor = page[1]
    for _, name in ipairs(page[2]) do remove_key(name) end
until cursor == '0'
redis.call('DEL', 'windows:due')
if gathered > 0 then redis.call('HINCRBY', 'stage:flusher', 'expired', gathered) end

redis.call('SET', KEYS[1], watermark)
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
return watermark
