-- Sets one membership (a like of a post, a follow of a user) in one atomic step:
-- compare with its present state, count, and append the event to the ingress stream. All checks come before
-- the first write, because Redis does not roll back.
--
-- KEYS[1] like:count:{post}     | follow:count:{user}       the count; present = loaded. Below zero while users who
--         are not members of a large object are assumed to be (KEYS[3]): readers see 0
-- KEYS[2] like:users:{post}     | follow:users:{user}       who likes | who follows, complete unless KEYS[4] exists
-- KEYS[3] like:unwritten:{post} | follow:unwritten:{user}   events that PostgreSQL may not have: actor -> "seq active",
--         and after a write whose previous state is unknown "seq active first_seq" (written_memberships.py)
-- KEYS[4] like:large:{post}     | follow:large:{user}       present = too many members: KEYS[2] is not used.
--         id -> of this load, recount -> since when the count is uncertain (ms), bucket -> settled events
-- KEYS[5] post:owner:{post}     | follow:count:{user}       the recipient (a like only); "" = the post is gone
-- KEYS[6] follow:blocked:{owner}                            app/ingest/block_cache.py
-- KEYS[7] ingress:{n}                                       the shard of the object
-- KEYS[8] ingress:enabled                                   absent during a Redis failover (redis_failover.py)
-- KEYS[9] membership:idle                                   what is cached -> last use in ms (cache_eviction.py)
-- KEYS[10] follow:pending:{actor}                           of a follow (app/persistence/pending_follows.py)
-- ARGV    1 actor, 2 desired state, 3 deadline ms, 4 max length of the shard, 5 kind, 6 object id, 7 event id,
--         8 traceparent, 9 owner, 10 stored state: "" not looked up | 0 | 1 | ? unknown, 11 version of the lookup,
--         12 bucket of the actor, 13 max members, 14 names of the object and 15 of the blocks in KEYS[9]
-- Returns {result, active, count, detail}:
--         done | unchanged | unknown_previous (accepted, counted later) | unpublished (full, but nothing changes)
--         | not_loaded | not_found | deadline_exceeded | full | failover | other_owner (detail: the owner)
--         | unknown_member (detail: the version for a lookup)
-- A block answers not_found: for likes and unlikes of a post, and for a follow of a user (not for an unfollow).
-- A request that changes nothing is published as well: the state here may be older than a failover
-- write, and downstream it changes nothing either.
local UNWRITTEN_TTL_SECONDS = 604800 -- as long as Kafka keeps the event
local actor, desired_state, kind, object_id, owner = ARGV[1], ARGV[2], ARGV[5], ARGV[6], ARGV[9]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A call that waited in the socket of a frozen server must not overwrite newer writes.
if now > tonumber(ARGV[3]) then return {'deadline_exceeded', 0, 0, ''} end

if redis.call('EXISTS', KEYS[8]) == 0 then return {'failover', 0, 0, ''} end

local count = redis.call('GET', KEYS[1])
if not count then return {'not_loaded', 0, 0, ''} end
if kind == 'LIKE' then
    local current_owner = redis.call('GET', KEYS[5])
    if not current_owner then return {'not_loaded', 0, 0, ''} end
    if current_owner == '' then return {'not_found', 0, 0, ''} end
    if current_owner ~= owner then return {'other_owner', 0, 0, current_owner} end
end

local blocked = redis.call('SMISMEMBER', KEYS[6], '', actor)
if blocked[1] == 0 then return {'not_loaded', 0, 0, ''} end

local large = redis.call('HMGET', KEYS[4], 'id', ARGV[12], 'recount')
local is_active, is_assumed, uncounted = nil, false, ''
if not large[1] then
    is_active = redis.call('SISMEMBER', KEYS[2], actor)
else
    local unwritten = redis.call('HGET', KEYS[3], actor)
    local version = large[1] .. ':' .. (large[2] or '0')
    if unwritten then
        is_active, uncounted = string.match(unwritten, '^%d+ (%d)(.*)$')
        is_active = tonumber(is_active)
    elseif ARGV[10] == '?' and desired_state ~= 'toggle' then
        -- Assumed to be a member, so that the correction after the write never makes the count fall.
        is_active, is_assumed = 1, true
    elseif ARGV[11] == version and (ARGV[10] == '0' or ARGV[10] == '1') then
        is_active = tonumber(ARGV[10])
    else
        return {'unknown_member', 0, 0, version}
    end
end
local new_active = is_active
if desired_state == 'on' then new_active = 1 elseif desired_state == 'off' then new_active = 0 else new_active = 1 - is_active end
if blocked[2] == 1 and (kind == 'LIKE' or new_active == 1) then return {'not_found', 0, 0, ''} end

if redis.call('XLEN', KEYS[7]) >= tonumber(ARGV[4]) then
    if new_active == is_active and not is_assumed then
        return {'unpublished', is_active, math.max(tonumber(count), 0), ''}
    end
    return {'full', 0, 0, ''}
end

local new_count = tonumber(count)
if new_active ~= is_active then
    new_count = redis.call(new_active == 1 and 'INCR' or 'DECR', KEYS[1])
    if not large[1] then
        redis.call(new_active == 1 and 'SADD' or 'SREM', KEYS[2], actor)
        if new_count > tonumber(ARGV[13]) then
            -- PostgreSQL has every member that is not unwritten.
            redis.call('UNLINK', KEYS[2])
            redis.call('HSET', KEYS[4], 'id', ARGV[7])
        end
    end
end
local id = redis.call('XADD', KEYS[7], '*', 'type', kind, 'eventId', ARGV[7], 'actorId', actor,
    'targetId', owner, 'targetType', kind == 'LIKE' and 'POST' or 'USER', 'targetEntityId', object_id,
    'active', tostring(new_active), 'traceparent', ARGV[8])
local ms, n = string.match(id, '^(%d+)-(%d+)$')
local seq = string.format('%.0f', ms * 1024 + math.min(tonumber(n), 1023)) -- domain/events.py
local state = seq .. ' ' .. new_active
if is_assumed then uncounted = ' ' .. seq end
redis.call('HSET', KEYS[3], actor, state .. uncounted)
redis.call('EXPIRE', KEYS[3], UNWRITTEN_TTL_SECONDS)
-- An object whose count is uncertain leaves as soon as nothing is unwritten: its last use is kept.
if large[3] then
    redis.call('ZADD', KEYS[9], now, ARGV[15])
else
    redis.call('ZADD', KEYS[9], now, ARGV[15], now, ARGV[14])
end
if kind == 'FOLLOW' then
    redis.call('HSET', KEYS[10], object_id, state)
    redis.call('EXPIRE', KEYS[10], UNWRITTEN_TTL_SECONDS)
end
new_count = math.max(new_count, 0)
if is_assumed then return {'unknown_previous', new_active, new_count, ''} end
return {new_active == is_active and 'unchanged' or 'done', new_active, new_count, ''}
