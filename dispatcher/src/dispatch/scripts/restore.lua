-- What is known to have ended, Redis may have forgotten: the final record, and the dead letter or parked entry.
-- KEYS: record, stream of the copy (any stream when there is none).
-- ARGV: state, reason, message id, task id, agent, via, final ttl (s), id of the copy, copy's fields...
-- Answers {same, copy id} {restored, copy id}: the record is back, {copied, copy id}: only the copy is, {other}: the
-- record speaks of a later run, or of another end, {newer}.
local function run_of(message_id) return tonumber(string.match(message_id, '%-r(%d+)$')) or 0 end

-- Of the newest entries: another hook may have put the copy back, and the record that named it may be gone again.
local LATEST = 256
local function among_the_latest()
  local ours = {}
  for i = 9, #ARGV - 1, 2 do ours[ARGV[i]] = ours[ARGV[i]] or ARGV[i + 1] end
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', LATEST)) do
    local theirs = {}
    for i = 1, #entry[2] - 1, 2 do theirs[entry[2][i]] = theirs[entry[2][i]] or entry[2][i + 1] end
    if theirs.workflow_id == ours.workflow_id and theirs.step == ours.step then return entry[1] end
  end
end

local rec = record(KEYS[1], 'state', 'message_id', 'copy')
if rec and rec.newer then return { 'newer' } end
local final = rec and FINAL[rec.state]
if rec and rec.message_id ~= '' then
  local theirs, ours = run_of(rec.message_id), run_of(ARGV[3])
  if theirs > ours or theirs == ours and final and rec.state ~= ARGV[1] then return { 'other' } end
  final = final and theirs == ours
end
local copy, copied = ARGV[8], false
if #ARGV > 8 then
  local wrong = unusable(KEYS[2])
  if wrong then return wrong end
  if final and rec.copy ~= '' and fields_of(KEYS[2], rec.copy) then
    copy = rec.copy
  elseif not fields_of(KEYS[2], copy) then
    copy = among_the_latest()
  end
  if not copy then
    copy, copied = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 9)), true
  end
end
if final then
  if copy ~= '' and copy ~= rec.copy then redis.call('HSET', KEYS[1], 'copy', copy) end
  return { copied and 'copied' or 'same', copy }
end
redis.call('HSET', KEYS[1], 'v', 1, 'state', ARGV[1], 'reason', ARGV[2], 'message_id', ARGV[3], 'task_id', ARGV[4],
  'agent', ARGV[5], 'via', ARGV[6], 'replid', replid(), 'updated_at', now_ms())
if copy ~= '' then redis.call('HSET', KEYS[1], 'copy', copy) end
redis.call('HSETNX', KEYS[1], 'attempts', 1)
redis.call('EXPIRE', KEYS[1], ARGV[7])
return { 'restored', copy }
