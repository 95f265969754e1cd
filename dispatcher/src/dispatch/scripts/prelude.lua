-- Shared by all scripts of the dispatch record. Version of the record that is understood: 1.
local FINAL = { settled = true, dead = true, parked = true }

-- The history that Redis has now.
local function replid()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Entry ids are two whole numbers of up to 64 bits: longer digits are larger, then text order decides.
local function number_after(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local function id_after(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if not a_ms or not b_ms then return false end
  if a_ms ~= b_ms then return number_after(a_ms, b_ms) end
  return number_after(a_seq, b_seq)
end

local function fields_of(stream, id)
  local found = redis.call('XRANGE', stream, id, id)
  return found[1] and found[1][2]
end

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- From one moment to a later one, as far as clocks can be believed: no step is longer than a lease, none goes back.
local function step_of(before, stamp, lease)
  return math.max(0, math.min(stamp - (tonumber(before) or stamp), lease))
end

-- Who holds a pending entry; nil when it is not pending or there is no group.
local function holder(stream, group, id)
  local row = redis.pcall('XPENDING', stream, group, id, id, 1)
  return not row.err and row[1] and row[1][2]
end

-- The last delivered id of the group; nil without a group.
local function last_delivered(stream, group)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return nil end
  for _, row in ipairs(groups) do
    if field(row, 'name') == group then return field(row, 'last-delivered-id') end
  end
end

-- Will somebody still be handed this entry? True while it is unread, pending, or in a waiting stream.
local function live(main, group, stream, id)
  if not id or id == '' or not fields_of(stream, id) then return false end
  if stream ~= main then return true end
  local last = last_delivered(main, group)
  return not last or id_after(id, last) or holder(main, group, id) and true or false
end

-- The entry is pending in the caller's name, and it is this incident's. An entry deleted since it
-- was read can be nobody else's.
local function owns(stream, group, consumer, id, workflow_id)
  if holder(stream, group, id) ~= consumer then return false end
  local fields = fields_of(stream, id)
  return not fields or field(fields, 'workflow_id') == workflow_id
end

-- nil (absent), or the wanted fields of the record; `newer` where a later version wrote it.
local function record(key, ...)
  local v = redis.call('HGET', key, 'v')
  if not v then return nil end
  local values, rec = redis.call('HMGET', key, ...), {}
  for i, name in ipairs({ ... }) do rec[name] = values[i] or '' end
  rec.newer = tonumber(v) == nil or tonumber(v) > 1
  return rec
end

-- Nobody has sent it, for all that this history knows.
local function is_unstarted(rec)
  return rec.state == 'queued' and rec.replid == replid() and tonumber(rec.attempts) == 0
end

-- The record is about a later run than the caller's: an operator's retry, or an alert that fires on.
local function is_another_run(rec, message_id)
  return rec and rec.message_id ~= '' and rec.message_id ~= message_id
end

-- Redis has forgotten what was known of an incident that is handed out again: somebody may have sent it.
local function write_begun(key, stream, id, message_id, stamp)
  redis.call('HSET', key, 'v', 1, 'state', 'sending', 'entry_id', id, 'stream', stream, 'replid', replid(),
    'message_id', message_id, 'context_id', '', 'task_id', '', 'wire', '', 'via', 'stream', 'attempts', 1, 'owner', '',
    'updated_at', stamp)
end

-- Writes must not stop half way: keys that will be added to are looked at before the first write, and whether the user
-- may add to them (Redis 7.0 and later can say so).
local function unusable(...)
  for _, key in ipairs({ ... }) do
    if redis.acl_check_cmd and not redis.acl_check_cmd('XADD', key, '*', 'field', 'value') then
      return redis.error_reply('NOPERM this user has no permission to add to ' .. key)
    end
    local kind = redis.call('TYPE', key).ok
    if kind ~= 'none' and kind ~= 'stream' then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. kind .. ', not a stream')
    end
  end
end
