-- An operator takes a pending entry from whoever holds it: claimable at once, the delivery count is kept.
-- KEYS: stream. ARGV: group, heir, idle in ms, 1: also from a holder who renewed it less than that ago, entry id.
-- Answers {given, holder} {already} {busy, holder, idle} {gone} {deleted}.
local row = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[5], ARGV[5], 1)
if row.err or not row[1] then return { 'gone' } end
local owner, idle, deliveries = row[1][2], row[1][3], row[1][4]
local silent = idle < 0 or idle >= tonumber(ARGV[3])
if owner == ARGV[2] and silent then return { 'already' } end
if not silent and ARGV[4] ~= '1' then return { 'busy', owner, idle } end
local given = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[5],
  'IDLE', ARGV[3], 'RETRYCOUNT', deliveries, 'JUSTID')
return given[1] and { 'given', owner } or { 'deleted' }
