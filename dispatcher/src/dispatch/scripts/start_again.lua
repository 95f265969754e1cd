-- A deliberate new run of a final incident: a new message id, so that a server that recognises a
-- repeated message runs it again; nothing of the last run is kept.
local function start_again(key, stream, id, message_id, stamp)
  local base, run = string.match(message_id, '^(.*)%-r(%d+)$')
  local next_id = base and (base .. '-r' .. (tonumber(run) + 1)) or (message_id .. '-r1')
  redis.call('DEL', key)
  redis.call('HSET', key, 'v', 1, 'state', 'queued', 'entry_id', id, 'stream', stream, 'replid', replid(),
    'message_id', next_id, 'context_id', '', 'task_id', '', 'wire', '', 'agent', '', 'via', 'stream',
    'attempts', 0, 'owner', '', 'updated_at', stamp)
end
