-- The agent has the incident. Recorded also without the lease: what is true may be written by anybody.
-- KEYS: record, health, runs, pace.
-- ARGV: stream, entry id, message id, context id, task id ('': it answered with a message), wire, agent, owner, via,
--       incident, lease (ms), 1: it has just taken a request.
-- Answers {ok} {final, state} {newer}, {other}: a deliberate new run has begun since.
if ARGV[12] == '1' then
  if quietly('HEXISTS', KEYS[2], 'open') == 1 then begin_recovery(KEYS[4], now_ms()) end
  redis.call('DEL', KEYS[2])
end
local rec = record(KEYS[1], 'state', 'task_id', 'message_id')
if rec and rec.newer then return { 'newer' } end
if rec and FINAL[rec.state] then return { 'final', rec.state } end
if is_another_run(rec, ARGV[3]) then return { 'other' } end
if ARGV[5] == '' then return { 'ok' } end
if not rec then
  redis.call('HSET', KEYS[1], 'v', 1, 'entry_id', ARGV[2], 'stream', ARGV[1], 'attempts', 1)
end
local stamp = now_ms()
redis.call('HSET', KEYS[1], 'state', 'accepted', 'replid', replid(), 'message_id', ARGV[3], 'context_id', ARGV[4],
  'task_id', ARGV[5], 'wire', ARGV[6], 'agent', ARGV[7], 'owner', ARGV[8], 'updated_at', stamp)
redis.call('HSETNX', KEYS[1], 'via', ARGV[9])
redis.call('HSETNX', KEYS[1], 'accepted_at', stamp)
redis.call('HDEL', KEYS[1], 'waiting_since')
count_run(KEYS[2], KEYS[3], ARGV[10], stamp, tonumber(ARGV[11]))
return { 'ok' }
