-- Right before the request is written: counts the attempt, if the caller may still send.
-- KEYS: stream, record. ARGV: group, consumer, entry id, workflow id, context id, wire, agent, number of this attempt.
-- The number is given, not counted up here: a call without an answer is repeated.
-- Answers {ok} {lost}, or {again}: the record has changed since the take.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream')
if not rec or rec.newer or rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1] or FINAL[rec.state] then return { 'again' } end
redis.call('HSET', KEYS[2], 'state', 'sending', 'replid', replid(), 'context_id', ARGV[5], 'wire', ARGV[6],
  'agent', ARGV[7], 'attempts', ARGV[8], 'owner', ARGV[2], 'updated_at', now_ms())
return { 'ok' }
