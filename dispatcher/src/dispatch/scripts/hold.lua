-- Part of every renewal: writes back what Redis has forgotten of a dispatch that goes on, and marks a
-- request in flight, and the agent's run, as alive.
-- KEYS: record, health, runs.
-- ARGV: stream, entry id, state, message id, context id, task id, wire, agent, owner, attempts, incident, lease (ms).
-- A renewal can be on its way while the send it speaks of ends: a record that says `queued` in this history was set
-- back on purpose.
-- Answers {ok} {restored} {unsent} {final, state} {newer}, {other}: a deliberate new run has begun since.
local rec = record(KEYS[1], 'state', 'task_id', 'replid', 'message_id', 'updated_at')
if rec and rec.newer then return { 'newer' } end
if rec and FINAL[rec.state] then return { 'final', rec.state } end
if is_another_run(rec, ARGV[4]) then return { 'other' } end
local queued = rec and rec.state == 'queued'
if queued and ARGV[6] == '' and rec.replid == replid() then return { 'unsent' } end
local stamp = now_ms()
local less = not rec or queued or rec.task_id == '' and ARGV[6] ~= ''
if less then
  if not rec then
    redis.call('HSET', KEYS[1], 'v', 1, 'entry_id', ARGV[2], 'stream', ARGV[1], 'attempts', ARGV[10], 'via', 'stream')
  end
  redis.call('HSET', KEYS[1], 'state', ARGV[3], 'replid', replid(), 'message_id', ARGV[4], 'context_id', ARGV[5],
    'task_id', ARGV[6], 'wire', ARGV[7], 'agent', ARGV[8], 'owner', ARGV[9])
end
if rec and rec.state == 'accepted' then
  redis.call('HINCRBY', KEYS[1], 'ran_ms', step_of(rec.updated_at, stamp, tonumber(ARGV[12])))
end
redis.call('HSET', KEYS[1], 'updated_at', stamp)
count_run(KEYS[2], KEYS[3], ARGV[11], stamp, tonumber(ARGV[12]))
return { less and 'restored' or 'ok' }
