-- Sets one membership (a like of a post, a follow of a user) in one atomic step:
-- compare with its present state, count, and append the event to the ingress stream. All checks come before
-- the first write, because Redis does not roll back.
--
-- KEYS[1] like:count:{post}   | follow:count:{user}    the count that readers see; present = the set is complete
-- KEYS[2] like:users:{post}   | follow:users:{user}    who likes | who follows
-- KEYS[3] post:owner:{post}   | follow:count:{user}    the recipient (a like only); "" = the post is gone
-- KEYS[4] ingress:{n}                                  the shard of the object
-- KEYS[5] ingress:enabled                              absent during a Redis failover (app/failover/redis_failover.py)
-- and, with names built from the owner: follow:count:{owner}, follow:users:{owner}, follow:blocked:{owner}
-- (app/ingest/block_cache.py); of a follow also follow:pending:{actor} (app/persistence/pending_follows.py)
-- ARGV    actor, desired state, deadline ms, max length of all shards, number of shards, kind, object id,
--         event id, traceparent
-- Returns {result, active, count}:
--         done | unchanged | not_loaded | not_found | deadline_exceeded | full | failover
-- A block answers not_found: for likes and unlikes of a post, and for a follow of a user (not for an unfollow).
-- A request that changes nothing is published as well: the state here may be older than a failover
-- write, and downstream it changes nothing either.
local actor, desired_state, deadline, max_length, shards = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local kind, object_id = ARGV[6], ARGV[7]

local time = redis.call('TIME')
-- A call that waited in the socket of a frozen server must not overwrite newer writes.
if time[1] * 1000 + time[2] / 1000 > tonumber(deadline) then return {'deadline_exceeded', 0, 0} end

if redis.call('EXISTS', KEYS[5]) == 0 then return {'failover', 0, 0} end

local count = redis.call('GET', KEYS[1])
local owner, follower = object_id, '0'
if not count then return {'not_loaded', 0, 0} end
if kind == 'LIKE' then
    owner = redis.call('GET', KEYS[3])
    if not owner then return {'not_loaded', 0, 0} end
    if owner == '' then return {'not_found', 0, 0} end
    if redis.call('EXISTS', 'follow:count:' .. owner) == 0 then return {'not_loaded', 0, 0} end
    follower = tostring(redis.call('SISMEMBER', 'follow:users:' .. owner, actor))
end

local blocked = redis.call('SMISMEMBER', 'follow:blocked:' .. owner, '', actor)
if blocked[1] == 0 then return {'not_loaded', 0, 0} end

local is_active = redis.call('SISMEMBER', KEYS[2], actor)
local new_active = is_active
if desired_state == 'on' then new_active = 1 elseif desired_state == 'off' then new_active = 0 else new_active = 1 - is_active end
if blocked[2] == 1 and (kind == 'LIKE' or new_active == 1) then return {'not_found', 0, 0} end

local length = 0
for shard = 0, tonumber(shards) do length = length + redis.call('XLEN', 'ingress:' .. shard) end
if length >= tonumber(max_length) then
    if new_active == is_active then return {'unchanged', is_active, tonumber(count)} end
    return {'full', 0, 0}
end

local new_count = tonumber(count)
if new_active ~= is_active then
    redis.call(new_active == 1 and 'SADD' or 'SREM', KEYS[2], actor)
    new_count = redis.call(new_active == 1 and 'INCR' or 'DECR', KEYS[1])
end
local id = redis.call('XADD', KEYS[4], '*', 'type', kind, 'eventId', ARGV[8], 'actorId', actor,
    'targetId', owner, 'targetType', kind == 'LIKE' and 'POST' or 'USER', 'targetEntityId', object_id,
    'active', tostring(new_active), 'follower', follower, 'traceparent', ARGV[9])
if kind == 'FOLLOW' then
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    local seq = string.format('%.0f', ms * 1024 + math.min(tonumber(n), 1023)) -- domain/events.py
    redis.call('HSET', 'follow:pending:' .. actor, object_id, seq .. ' ' .. new_active)
    redis.call('EXPIRE', 'follow:pending:' .. actor, 604800) -- as long as Kafka keeps the event
end
return {new_active == is_active and 'unchanged' or 'done', new_active, new_count}
