-- Which start time names the episode that this alert belongs to?
-- KEYS: episode. ARGV: firing or resolved, starts at (ns, decimal), slack (ns), ttl (s), ends at (ns, resolved only).
-- Answers the start time (ns) to use.
-- Whole nanoseconds do not fit a Lua number: they are compared in microseconds.
local function micros(ns) return tonumber(string.sub(ns, 1, -4)) or 0 end
local known = redis.call('HMGET', KEYS[1], 'starts_at', 'ended_at')
local same = false
if known[1] then
  local apart = math.abs(micros(ARGV[2]) - micros(known[1]))
  local over = known[2] and known[2] ~= '' and micros(ARGV[2]) > micros(known[2])
  same = apart <= micros(ARGV[3]) and not over
end
if ARGV[1] == 'firing' and not same then
  redis.call('HSET', KEYS[1], 'starts_at', ARGV[2], 'ended_at', '')
elseif ARGV[1] == 'resolved' and same then
  redis.call('HSET', KEYS[1], 'ended_at', ARGV[5])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return same and known[1] or ARGV[2]
