-- An alert that cannot be read becomes one dead letter, however often it is repeated.
-- KEYS: marker, dead letters. ARGV: marker ttl (s), deadline (ms), fields...
-- Answers {buried} {duplicate} {expired}.
local stamp = now_ms()
if stamp > tonumber(ARGV[2]) then return { 'expired' } end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  return { 'duplicate' }
end
local wrong = unusable(KEYS[2])
if wrong then return wrong end
redis.call('SET', KEYS[1], 1, 'EX', ARGV[1])
local fields = { unpack(ARGV, 3) }
for _, extra in ipairs({ 'reason', 'undecodable', 'failed_at', math.floor(stamp / 1000), 'attempts', 0 }) do
  fields[#fields + 1] = extra
end
redis.call('XADD', KEYS[2], '*', unpack(fields))
return { 'buried' }
