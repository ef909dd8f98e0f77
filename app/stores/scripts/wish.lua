-- One wish about one standing (a like of a post, a follow of a person), in one atomic step:
-- compare with what stands, count, and append the event to the ingress stream. All checks come before
-- the first write, because Redis does not roll back.
--
-- KEYS[1] like:count:{post}   | follow:count:{user}    the count a reader sees; present = the set is whole
-- KEYS[2] like:users:{post}   | follow:users:{user}    who likes | who follows
-- KEYS[3] post:owner:{post}   | follow:count:{user}    the recipient (a like only); "" = the post is gone
-- KEYS[4] ingress:{n}                                  the shard of the subject
-- KEYS[5] ingress:open                                 the gate (stores/gate.py)
-- and, named by the owner it finds: follow:count:{owner}, follow:users:{owner}, follow:blocked:{owner}
-- (stores/block_cache.py); of a follow also follow:pending:{actor} (stores/pending_follows.py)
-- ARGV    actor, wish, deadline ms, max length of all shards, number of shards, kind, subject, event id,
--         traceparent
-- Returns {word, active, count}: done | same | cold | gone | late | full | closed
-- What a block hides is gone: a post for likes and unlikes, a person for a follow (but not for its end).
-- A wish that changes nothing is said all the same: what stands here may be older than a word that went
-- past Redis, and downstream it changes nothing either.
local actor, wish, deadline, max, shards = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local kind, subject = ARGV[6], ARGV[7]

local time = redis.call('TIME')
-- A call that waited in the socket of a frozen server must not act over newer words.
if time[1] * 1000 + time[2] / 1000 > tonumber(deadline) then return {'late', 0, 0} end

if redis.call('EXISTS', KEYS[5]) == 0 then return {'closed', 0, 0} end

local count = redis.call('GET', KEYS[1])
local owner, follower = subject, '0'
if not count then return {'cold', 0, 0} end
if kind == 'LIKE' then
    owner = redis.call('GET', KEYS[3])
    if not owner then return {'cold', 0, 0} end
    if owner == '' then return {'gone', 0, 0} end
    if redis.call('EXISTS', 'follow:count:' .. owner) == 0 then return {'cold', 0, 0} end
    follower = tostring(redis.call('SISMEMBER', 'follow:users:' .. owner, actor))
end

local blocks = redis.call('SMISMEMBER', 'follow:blocked:' .. owner, '', actor)
if blocks[1] == 0 then return {'cold', 0, 0} end

local stands = redis.call('SISMEMBER', KEYS[2], actor)
local wanted = stands
if wish == 'on' then wanted = 1 elseif wish == 'off' then wanted = 0 else wanted = 1 - stands end
if blocks[2] == 1 and (kind == 'LIKE' or wanted == 1) then return {'gone', 0, 0} end

local length = 0
for shard = 0, tonumber(shards) do length = length + redis.call('XLEN', 'ingress:' .. shard) end
if length >= tonumber(max) then
    if wanted == stands then return {'same', stands, tonumber(count)} end
    return {'full', 0, 0}
end

local now = tonumber(count)
if wanted ~= stands then
    redis.call(wanted == 1 and 'SADD' or 'SREM', KEYS[2], actor)
    now = redis.call(wanted == 1 and 'INCR' or 'DECR', KEYS[1])
end
local id = redis.call('XADD', KEYS[4], '*', 'type', kind, 'eventId', ARGV[8], 'actorId', actor,
    'targetId', owner, 'targetType', kind == 'LIKE' and 'POST' or 'USER', 'targetEntityId', subject,
    'active', tostring(wanted), 'follower', follower, 'traceparent', ARGV[9])
if kind == 'FOLLOW' then
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    local seq = string.format('%.0f', ms * 1024 + math.min(tonumber(n), 1023)) -- domain/events.py
    redis.call('HSET', 'follow:pending:' .. actor, subject, seq .. ' ' .. wanted)
    redis.call('EXPIRE', 'follow:pending:' .. actor, 604800) -- as long as Kafka keeps the event
end
return {wanted == stands and 'same' or 'done', wanted, now}
