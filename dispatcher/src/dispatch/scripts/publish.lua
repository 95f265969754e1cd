-- Puts an incident on the stream unless Redis already knows it.
-- KEYS: record, stream, artifact.
-- ARGV: group, deadline (ms), final ttl (s), artifact ttl (s), state if absent, message id, context id,
--       task id, wire, agent, via, artifact text, rerun after (ms, 0: never), entry fields...
-- The state 'offered' is 'sending', by whomever under an earlier history, and not since: the record names no history.
-- Answers {expired} {newer} {published, id} {republished, id} {rerun, id} {duplicate, state}.
local stamp = now_ms()
if stamp > tonumber(ARGV[2]) then return { 'expired' } end

local wrong = unusable(KEYS[2])
if wrong then return wrong end

local function add()
  if ARGV[12] ~= '' then redis.call('SET', KEYS[3], ARGV[12], 'EX', ARGV[4]) end
  return redis.call('XADD', KEYS[2], '*', unpack(ARGV, 14))
end

local rec = record(KEYS[1], 'state', 'entry_id', 'stream', 'message_id', 'updated_at')
if rec and rec.newer then return { 'newer' } end
if not rec then
  local id = add()
  local earlier = ARGV[5] == 'offered'
  redis.call('HSET', KEYS[1], 'v', 1, 'state', earlier and 'sending' or ARGV[5], 'entry_id', id, 'stream', KEYS[2], 'replid', earlier and '' or replid(),
    'message_id', ARGV[6], 'context_id', ARGV[7], 'task_id', ARGV[8], 'wire', ARGV[9], 'agent', ARGV[10],
    'via', ARGV[11], 'attempts', ARGV[5] == 'queued' and 0 or 1, 'owner', '', 'updated_at', stamp)
  if ARGV[5] == 'accepted' then redis.call('HSET', KEYS[1], 'accepted_at', stamp) end
  return { 'published', id }
end
if FINAL[rec.state] then
  local after, last = tonumber(ARGV[13]), tonumber(rec.updated_at) or stamp
  if after > 0 and stamp - last >= after then
    local id = add()
    start_again(KEYS[1], KEYS[2], id, rec.message_id, stamp)
    return { 'rerun', id }
  end
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return { 'duplicate', rec.state }
end
if live(KEYS[2], ARGV[1], rec.stream, rec.entry_id) then return { 'duplicate', rec.state } end
local id = add()
redis.call('HSET', KEYS[1], 'entry_id', id, 'stream', KEYS[2])
return { 'republished', id }
