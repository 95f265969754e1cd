-- Gives a consumer's name free, if it is the caller's.
-- KEYS[1] guard; ARGV: nonce of the process. Answers 1 given free, 0 it was not the caller's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
