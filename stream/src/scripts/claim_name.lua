-- Takes, or keeps, a consumer's name for one process.
-- KEYS[1] guard; ARGV: nonce of the process, lease (ms). Answers 1 ours, 0 another process has it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
