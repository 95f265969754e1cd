-- The final outcome: record, outcomes stream, dead letter or parked copy, acknowledgement.
-- KEYS: stream, record, outcomes, target (dead letters or parked; = outcomes when settled), result artifact, the
--       agent's health and runs.
-- ARGV: group, consumer ('' : nothing to acknowledge), entry id, workflow id, message id, state, reason,
--       context id, task id, wire, agent, via, final ttl (s), outcomes cap, artifact ttl (s), result head,
--       result, error, incident, attempts, id of the copy that was made
--       before ('' : none is known), copied entry fields...
-- Answers {finished, acknowledged 0 or 1, id of the copy or -} {already, acknowledged} {newer}, {other, acknowledged}: a deliberate new run has begun
-- since; it is left alone, and so is its entry.
local function acknowledge()
  if ARGV[2] == '' or not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return 0 end
  return redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
end

local function leave_agent()
  end_run(KEYS[7], ARGV[19])
  end_probe(KEYS[6], ARGV[19], now_ms(), 0)
end

local rec = record(KEYS[2], 'state', 'attempts', 'via', 'message_id', 'entry_id')
if rec and rec.newer then return { 'newer' } end
if is_another_run(rec, ARGV[5]) then
  return { 'other', rec.entry_id ~= ARGV[3] and acknowledge() or 0 }
end
if rec and FINAL[rec.state] then
  redis.call('EXPIRE', KEYS[2], ARGV[13])
  leave_agent()
  return { 'already', acknowledge() }
end
local wrong = unusable(KEYS[3], KEYS[4])
if wrong then return wrong end
local stamp = now_ms()
-- How it first reached the agent stays so, whoever finishes it.
local via = rec and rec.via ~= '' and rec.via or ARGV[12]
local attempts = math.max(tonumber(rec and rec.attempts) or 0, tonumber(ARGV[20]))
if not rec then
  redis.call('HSET', KEYS[2], 'v', 1, 'entry_id', ARGV[3], 'stream', KEYS[1])
end
redis.call('HSET', KEYS[2], 'state', ARGV[6], 'reason', ARGV[7], 'replid', replid(), 'message_id', ARGV[5],
  'context_id', ARGV[8], 'task_id', ARGV[9], 'wire', ARGV[10], 'agent', ARGV[11], 'via', via,
  'attempts', attempts, 'owner', ARGV[2], 'result_head', ARGV[16], 'updated_at', stamp)
redis.call('EXPIRE', KEYS[2], ARGV[13])
if ARGV[17] ~= '' then redis.call('SET', KEYS[5], ARGV[17], 'EX', ARGV[15]) end
local copy = '-'
local made = ARGV[6] ~= 'settled' and ARGV[21] ~= '' and fields_of(KEYS[4], ARGV[21])
if made and field(made, 'workflow_id') == ARGV[4] then
  copy = ARGV[21]
elseif ARGV[6] ~= 'settled' then
  local fields = {}
  for i = 22, #ARGV do fields[#fields + 1] = ARGV[i] end
  for _, extra in ipairs({ 'error', ARGV[18], 'original_id', ARGV[3], 'failed_at', math.floor(stamp / 1000),
    'reason', ARGV[7], 'attempts', attempts, 'task_id', ARGV[9], 'context_id', ARGV[8] }) do
    fields[#fields + 1] = extra
  end
  copy = redis.call('XADD', KEYS[4], '*', unpack(fields))
end
if copy ~= '-' then redis.call('HSET', KEYS[2], 'copy', copy) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[14], '*', 'workflow_id', ARGV[4], 'step', string.sub(ARGV[19], #ARGV[4] + 2), 'message_id', ARGV[5],
  'state', ARGV[6], 'reason', ARGV[7], 'task_id', ARGV[9], 'agent', ARGV[11], 'via', via, 'copy', copy)
leave_agent()
return { 'finished', acknowledge(), copy }
