-- Right before the request is written: counts the attempt, if the caller may still send and the agent may be sent to.
-- KEYS: stream, record, health, runs, hour; of a resolved alert also the record of its firing incident.
-- ARGV: group, consumer, entry id, workflow id, context id, wire, agent, number of this attempt, incident, message id,
--       runs at most, runs per hour at most (0: no limit), lease (ms).
-- The number is given, not counted up here: a call without an answer is repeated.
-- Answers {ok} {lost}, {again}: the record has changed since the take, or
-- {closed, open or full or storm, ms since it first could not be sent, the agent's trouble}, or
-- {closed, firing or unstarted, ms since it first had to wait for its firing incident, ''}.
if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream', 'waiting_since')
if not rec or rec.newer or rec.entry_id ~= ARGV[3] or rec.stream ~= KEYS[1] or FINAL[rec.state] then return { 'again' } end
local stamp, lease, per_hour = now_ms(), tonumber(ARGV[13]), tonumber(ARGV[12])
local why = closed(KEYS[3], KEYS[4], KEYS[5], ARGV[9], ARGV[10], tonumber(ARGV[11]), per_hour, stamp, lease)
if why == 'open' then
  redis.call('HSETNX', KEYS[2], 'waiting_since', stamp)
  return { 'closed', why, stamp - (tonumber(rec.waiting_since) or stamp), redis.call('HGET', KEYS[3], 'words') or '' }
end
-- The agent can be reached, whatever else keeps the incident, unless it is closed too.
local function waits_for_no_agent()
  if redis.call('HEXISTS', KEYS[3], 'open') == 0 then redis.call('HDEL', KEYS[2], 'waiting_since') end
end
local firing = KEYS[6] and record(KEYS[6], 'state', 'replid', 'attempts')
if firing and not firing.newer and not FINAL[firing.state] then
  waits_for_no_agent()
  -- It keeps no place from the one that it waits for, and tries no agent.
  end_run(KEYS[4], ARGV[9])
  end_probe(KEYS[3], ARGV[9], stamp, 0)
  redis.call('HSETNX', KEYS[2], 'firing_since', stamp)
  local since = tonumber(redis.call('HGET', KEYS[2], 'firing_since')) or stamp
  return { 'closed', is_unstarted(firing) and 'unstarted' or 'firing', stamp - since, '' }
end
if why then
  waits_for_no_agent()
  return { 'closed', why, 0, '' }
end
if redis.call('HEXISTS', KEYS[3], 'open') == 1 then redis.call('HSET', KEYS[3], 'probe', ARGV[9]) end
count_run(KEYS[3], KEYS[4], ARGV[9], stamp, lease)
if per_hour > 0 then
  redis.call('ZADD', KEYS[5], 'NX', stamp, ARGV[10])
  redis.call('EXPIRE', KEYS[5], DAY)
end
redis.call('HSET', KEYS[2], 'state', 'sending', 'replid', replid(), 'context_id', ARGV[5], 'wire', ARGV[6],
  'agent', ARGV[7], 'attempts', ARGV[8], 'owner', ARGV[2], 'updated_at', stamp)
return { 'ok' }
