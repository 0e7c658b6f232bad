-- KEYS: value, lock, sizes, order, used. ARGV: key, value, milliseconds to live,
-- size, quota, now, lock token or "", prefix of values.
if ARGV[7] ~= '' then
  if redis.call('GET', KEYS[2]) ~= ARGV[7] then return 0 end
  redis.call('DEL', KEYS[2])
end
local size, quota = tonumber(ARGV[4]), tonumber(ARGV[5])
local used = tonumber(redis.call('GET', KEYS[5]) or '0') - tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0')
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[1])
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
for i = 3, 5 do redis.call('EXPIRE', KEYS[i], 90000) end -- an hour longer than any value
return 1
