-- KEYS and ARGV are those of set.lua; ARGV[2] is what is added. The number is
-- added up by Redis itself: Lua's numbers would lose digits.
local size, quota = tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('INCRBY', KEYS[1], ARGV[2])
  return redis.call('GET', KEYS[1])
end
local used = tonumber(redis.call('GET', KEYS[5]) or '0') - tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0')
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if size <= quota then
  while used + size > quota do
    local oldest = redis.call('ZPOPMIN', KEYS[4])[1]
    if not oldest then break end
    used = used - tonumber(redis.call('HGET', KEYS[3], oldest) or '0')
    redis.call('HDEL', KEYS[3], oldest)
    redis.call('DEL', ARGV[8] .. oldest)
  end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  redis.call('HSET', KEYS[3], ARGV[1], size)
  redis.call('ZADD', KEYS[4], ARGV[6], ARGV[1])
  used = used + size
end
redis.call('SET', KEYS[5], math.max(used, 0))
for i = 3, 5 do redis.call('EXPIRE', KEYS[i], 90000) end
return ARGV[2]
