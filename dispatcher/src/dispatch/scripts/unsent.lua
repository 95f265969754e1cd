-- The request certainly did not reach the agent: the attempt is not counted, the state is what it was, and the
-- incident waits since the first such try.
-- KEYS: stream, record. ARGV: group, consumer, entry id, workflow id, state before `sending`, attempts before it.
-- Answers {ok, ms since the first such try} {lost}.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id')
if not rec or rec.newer or rec.state ~= 'sending' or rec.entry_id ~= ARGV[3] then return { 'lost' } end
local stamp = now_ms()
redis.call('HSET', KEYS[2], 'state', ARGV[5], 'attempts', ARGV[6], 'replid', replid(), 'updated_at', stamp)
redis.call('HSETNX', KEYS[2], 'waiting_since', stamp)
return { 'ok', stamp - (tonumber(redis.call('HGET', KEYS[2], 'waiting_since')) or stamp) }
