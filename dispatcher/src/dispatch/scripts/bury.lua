-- An entry that names no incident goes to the dead letters as it is.
-- KEYS: stream, dead letters. ARGV: group, consumer, entry id, reason, error, copied entry fields...
-- Answers {buried} {lost}.
if holder(KEYS[1], ARGV[1], ARGV[3]) ~= ARGV[2] then return { 'lost' } end
local fields = {}
for i = 6, #ARGV do fields[#fields + 1] = ARGV[i] end
for _, extra in ipairs({ 'error', ARGV[5], 'original_id', ARGV[3], 'failed_at', math.floor(now_ms() / 1000),
  'reason', ARGV[4], 'attempts', 0 }) do
  fields[#fields + 1] = extra
end
redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return { 'buried' }
