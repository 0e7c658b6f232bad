-- KEYS: sizes, order, used. ARGV: prefix of values.
for _, key in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('DEL', ARGV[1] .. key) end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
