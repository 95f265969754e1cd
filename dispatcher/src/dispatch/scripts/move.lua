-- Nothing may be sent to the agent now: the entry goes to the agent's waiting stream.
-- KEYS: stream, record, waiting stream, set of waiting streams, health, runs.
-- ARGV: group, consumer, entry id, workflow id, incident, entry fields...
-- Answers {moved, id} {lost} {final, state}.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream')
if not rec or rec.newer or rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1] then return { 'lost' } end
if FINAL[rec.state] then return { 'final', rec.state } end
local wrong = unusable(KEYS[3])
if wrong then return wrong end
local stamp = now_ms()
redis.call('SADD', KEYS[4], KEYS[3])
local id = redis.call('XADD', KEYS[3], '*', unpack(ARGV, 6))
redis.call('HSET', KEYS[2], 'entry_id', id, 'stream', KEYS[3], 'replid', replid(), 'owner', '', 'updated_at', stamp)
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
end_run(KEYS[6], ARGV[5])
end_probe(KEYS[5], ARGV[5], stamp, 1000)
return { 'moved', id }
