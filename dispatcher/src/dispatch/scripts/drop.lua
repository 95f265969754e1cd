-- An operator gives an incident up: a dead letter with reason `dropped`, its entry acknowledged or removed.
-- KEYS: stream, record, outcomes, dead letters, where the entry is (stream, waiting or parked stream), set of waiting
--       streams, the agent's health and runs.
-- ARGV: group, entry id, workflow id ('' : the entry names no incident), step, message id if the record is gone, idle in
--       ms, 1: also from a holder who renewed it less than that ago, 1: it is a parked copy, error, original id, agent,
--       final ttl (s), outcomes cap, entry fields...
-- Answers {dropped, copy id}, {busy, holder, idle}, {final, state}: it has ended before and is only removed,
-- {running, state}: a later run than the parked one's, {gone} {newer}.
local here, id = KEYS[5], ARGV[2]
if not fields_of(here, id) then return { 'gone' } end
local on_stream, parked = here == KEYS[1], ARGV[8] == '1'
local row = on_stream and redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
row = row and not row.err and row[1]
local last = on_stream and not row and last_delivered(KEYS[1], ARGV[1])
if last and not id_after(id, last) then return { 'gone' } end
if row and row[3] >= 0 and row[3] < tonumber(ARGV[6]) and ARGV[7] ~= '1' then return { 'busy', row[2], row[3] } end

local named = ARGV[3] ~= ''
local rec = named and record(KEYS[2], 'state', 'attempts', 'via', 'message_id', 'context_id', 'task_id', 'wire', 'agent')
if rec and rec.newer then return { 'newer' } end
local ended = rec and FINAL[rec.state]
if parked and rec and not ended then return { 'running', rec.state } end

-- What is unread is left to the next worker, who finds that its incident has ended; without an incident nobody would.
local function remove()
  if row then return redis.call('XACK', KEYS[1], ARGV[1], id) end
  if on_stream and named then return end
  redis.call('XDEL', here, id)
  if not on_stream and not parked and redis.call('XLEN', here) == 0 then
    redis.call('DEL', here)
    redis.call('SREM', KEYS[6], here)
  end
end

if ended and rec.state ~= 'parked' or ended and not parked then
  remove()
  return { 'final', rec.state }
end
local wrong = unusable(KEYS[3], KEYS[4])
if wrong then return wrong end
local stamp = now_ms()
local known = rec or { attempts = '0', via = 'stream', message_id = '', context_id = '', task_id = '', wire = '', agent = '' }
local message_id = known.message_id ~= '' and known.message_id or ARGV[5]
local agent = known.agent ~= '' and known.agent or ARGV[11]
local attempts = known.attempts ~= '' and known.attempts or '0'
local fields = {}
for i = 14, #ARGV do fields[#fields + 1] = ARGV[i] end
for _, extra in ipairs({ 'error', ARGV[9], 'original_id', ARGV[10], 'failed_at', math.floor(stamp / 1000),
  'reason', 'dropped', 'attempts', attempts, 'task_id', known.task_id, 'context_id', known.context_id }) do
  fields[#fields + 1] = extra
end
local copy = redis.call('XADD', KEYS[4], '*', unpack(fields))
if named then
  if not rec then redis.call('HSET', KEYS[2], 'v', 1, 'entry_id', id, 'stream', here, 'via', 'stream') end
  redis.call('HSET', KEYS[2], 'state', 'dead', 'reason', 'dropped', 'replid', replid(), 'message_id', message_id,
    'agent', agent, 'attempts', attempts, 'owner', '', 'copy', copy, 'updated_at', stamp)
  redis.call('EXPIRE', KEYS[2], ARGV[12])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[13], '*', 'workflow_id', ARGV[3], 'step', ARGV[4], 'message_id',
    message_id, 'state', 'dead', 'reason', 'dropped', 'task_id', known.task_id, 'agent', agent, 'via', known.via,
    'copy', copy)
  local member = ARGV[3] .. '-' .. ARGV[4]
  end_run(KEYS[8], member)
  end_probe(KEYS[7], member, stamp, 0)
end
remove()
return { 'dropped', copy }
