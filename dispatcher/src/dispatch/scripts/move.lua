-- An agent has been unreachable for a lease: the entry goes to the agent's waiting stream.
-- KEYS: stream, record, waiting stream, set of waiting streams.
-- ARGV: group, consumer, entry id, workflow id, entry fields...
-- Answers {moved, id} {lost} {final, state}.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream')
if not rec or rec.newer or rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1] then return { 'lost' } end
if FINAL[rec.state] then return { 'final', rec.state } end
local id = redis.call('XADD', KEYS[3], '*', unpack(ARGV, 5))
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('HSET', KEYS[2], 'entry_id', id, 'stream', KEYS[3], 'replid', replid(), 'owner', '', 'updated_at', now_ms())
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return { 'moved', id }
