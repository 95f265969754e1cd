-- The alert of an incident is over before anybody has sent the incident of its beginning: that one is settled.
-- KEYS: stream, record, record of the firing incident, outcomes, health, runs.
-- ARGV: group, consumer, entry id, workflow id, workflow id of the firing incident, its incident, reason,
--       final ttl (s), outcomes cap.
-- Answers {settled} {lost}, {begun}: it is under way, final, gone, or of a later version.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream')
if not rec or rec.newer or rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1] or FINAL[rec.state] then return { 'lost' } end
local firing = record(KEYS[3], 'state', 'replid', 'attempts', 'message_id', 'agent', 'via')
if not firing or firing.newer or not is_unstarted(firing) then return { 'begun' } end
local wrong = unusable(KEYS[4])
if wrong then return wrong end
redis.call('HSET', KEYS[3], 'state', 'settled', 'reason', ARGV[7], 'owner', ARGV[2], 'updated_at', now_ms())
redis.call('EXPIRE', KEYS[3], ARGV[8])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[9], '*', 'workflow_id', ARGV[5],
  'step', string.sub(ARGV[6], #ARGV[5] + 2), 'message_id', firing.message_id, 'state', 'settled', 'reason', ARGV[7],
  'task_id', '', 'agent', firing.agent, 'via', firing.via, 'copy', '-')
end_run(KEYS[6], ARGV[6])
end_probe(KEYS[5], ARGV[6], now_ms(), 0)
return { 'settled' }
