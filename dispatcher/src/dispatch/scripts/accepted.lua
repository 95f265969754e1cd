-- The agent has the incident. Recorded also without the lease: what is true may be written by anybody.
-- KEYS: record. ARGV: stream, entry id, message id, context id, task id, wire, agent, owner, via.
-- Answers {ok} {final, state} {newer}.
local rec = record(KEYS[1], 'state', 'task_id')
if rec and rec.newer then return { 'newer' } end
if rec and FINAL[rec.state] then return { 'final', rec.state } end
if not rec then
  redis.call('HSET', KEYS[1], 'v', 1, 'entry_id', ARGV[2], 'stream', ARGV[1], 'attempts', 1)
end
redis.call('HSET', KEYS[1], 'state', 'accepted', 'replid', replid(), 'message_id', ARGV[3], 'context_id', ARGV[4],
  'task_id', ARGV[5], 'wire', ARGV[6], 'agent', ARGV[7], 'owner', ARGV[8], 'updated_at', now_ms())
redis.call('HSETNX', KEYS[1], 'via', ARGV[9])
redis.call('HDEL', KEYS[1], 'waiting_since')
return { 'ok' }
