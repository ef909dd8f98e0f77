-- Sets each count to the size of its set. In one step, so no write can come between.
-- KEYS[1..] count, set, count, set, ...
-- Returns how many counts were wrong.
local wrong = 0
for i = 1, #KEYS, 2 do
    local count = redis.call('GET', KEYS[i])
    local size = redis.call('SCARD', KEYS[i + 1])
    if count and tonumber(count) ~= size then
        redis.call('SET', KEYS[i], size)
        wrong = wrong + 1
    end
end
return wrong
