-- Empties what waits, in one step, and draws the line: every event accepted before it has a seq up to the
-- fence, every later one a higher seq. Counts and sets go cold; until the tables are empty too (the
-- caller then deletes clear:running), nobody may load them again.
--
-- KEYS[1] clear:fence   KEYS[2] clear:running
-- and all of: ingress:{n}, window:*, closing:*, windows:due, windows:held:*, like:*, follow:*, comment:*
-- ARGV    number of shards, group, how long clear:running may stand (ms)
-- Returns the fence, as text.
local shards, group = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function name_of(shard) return 'ingress:' .. shard end

-- The line lies behind the newest entry, even if the clock was set back since.
for shard = 0, shards do
    redis.pcall('XGROUP', 'CREATE', name_of(shard), group, '0', 'MKSTREAM')
    local about = redis.call('XINFO', 'STREAM', name_of(shard))
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            ms = math.max(ms, tonumber(string.match(about[i + 1], '^%d+')))
        end
    end
end
local line = string.format('%.0f-0', ms + 1)
local fence = string.format('%.0f', (ms + 1) * 1024)

local expired = 0
for shard = 0, shards do
    local name = name_of(shard)
    expired = expired + redis.call('XLEN', name)
    redis.call('XGROUP', 'DESTROY', name, group)
    redis.call('XTRIM', name, 'MAXLEN', 0)
    redis.call('XSETID', name, line)
    redis.call('XGROUP', 'CREATE', name, group, '$')
end
if expired > 0 then redis.call('HINCRBY', 'stage:bridge', 'expired', expired) end

local gathered = 0
local function forget(name)
    local first = string.match(name, '^([^:]+):')
    if first == 'window' or first == 'closing' then
        gathered = gathered + tonumber(redis.call('HGET', name, '~g') or 0)
    elseif string.sub(name, 1, 13) ~= 'windows:held:' and first ~= 'like' and first ~= 'follow'
        and first ~= 'comment' then
        return
    end
    redis.call('UNLINK', name)
end
local cursor = '0'
repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 1000)
    cursor = page[1]
    for _, name in ipairs(page[2]) do forget(name) end
until cursor == '0'
redis.call('DEL', 'windows:due')
if gathered > 0 then redis.call('HINCRBY', 'stage:flusher', 'expired', gathered) end

redis.call('SET', KEYS[1], fence)
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
return fence
