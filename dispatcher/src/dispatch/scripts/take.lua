-- Before any dispatch: is this entry ours to work on, and what is known of its incident?
-- KEYS: stream, record, the agent's health.
-- ARGV: group, consumer, entry id, workflow id, message id, context id, agent, fresh without record (0, 1),
--       attempts that count as made when there is no record and it is not fresh, incident, lease (ms).
-- A closed agent that may be tried now is tried with this incident, where it has to be asked first.
-- Answers {lost} {newer} {duplicate, state}, or {fresh or begun, state, task id, message id, context id,
-- wire, attempts, updated at, ms since a possible sender wrote it last, ms since the agent accepted it, ms since it first
-- could not be asked for a run that nobody knows: the agent is closed (-1 each: never), the agent's trouble}.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream', 'replid', 'task_id', 'message_id', 'context_id', 'wire', 'attempts', 'updated_at',
  'accepted_at', 'ran_ms')
if rec and rec.newer then return { 'newer' } end
local elsewhere = rec and (rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1])
if rec and (FINAL[rec.state] or elsewhere and live(KEYS[1], ARGV[1], rec.stream, rec.entry_id)) then
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
  return { 'duplicate', rec.state }
end

local stamp, history = now_ms(), replid()
local fresh, quiet, running = nil, -1, -1
if rec then
  if rec.replid ~= '' then quiet = stamp - (tonumber(rec.updated_at) or stamp) end
  if rec.accepted_at ~= '' then
    -- Counted up by the renewals: a clock that jumps must not end a run.
    running = (tonumber(rec.ran_ms) or 0) + step_of(rec.updated_at, stamp, tonumber(ARGV[11]))
  end
  fresh = rec.state == 'queued' and rec.replid == history
else
  local age = stamp - tonumber(string.match(ARGV[3], '^(%d+)'))
  fresh = ARGV[8] == '1' and age < 5000
  rec = { state = 'queued', task_id = '', message_id = ARGV[5], context_id = '', wire = '', attempts = fresh and '0' or ARGV[9] }
end
if rec.context_id == '' then rec.context_id = ARGV[6] end
if not fresh and rec.state == 'queued' then rec.state = 'sending' end
local lease = tonumber(ARGV[11])
local asks = not fresh and rec.task_id == ''
local closed_now = asks and is_closed_to(KEYS[3], ARGV[10], stamp, lease)
if asks and not closed_now and redis.call('HEXISTS', KEYS[3], 'open') == 1 then
  redis.call('HSET', KEYS[3], 'probe', ARGV[10], 'probe_until', stamp + lease)
end
redis.call('HSET', KEYS[2], 'v', 1, 'state', rec.state, 'entry_id', ARGV[3], 'stream', KEYS[1], 'replid', history,
  'message_id', rec.message_id, 'context_id', rec.context_id, 'attempts', rec.attempts, 'agent', ARGV[7],
  'owner', ARGV[2], 'updated_at', stamp)
if running >= 0 then redis.call('HSET', KEYS[2], 'ran_ms', running) end
local waiting, words = -1, ''
if closed_now then
  redis.call('HSETNX', KEYS[2], 'waiting_since', stamp)
  waiting = stamp - (tonumber(redis.call('HGET', KEYS[2], 'waiting_since')) or stamp)
  words = redis.call('HGET', KEYS[3], 'words') or ''
end
return { fresh and 'fresh' or 'begun', rec.state, rec.task_id, rec.message_id, rec.context_id, rec.wire, rec.attempts, stamp,
  quiet, running, waiting, words }
