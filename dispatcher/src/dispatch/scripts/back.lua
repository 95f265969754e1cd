-- Brings the oldest entries of a waiting stream back: as many as the agent has room for, at a rate after it was
-- closed; one to try it with, when that is due, while it is closed. What has waited too long comes back to be given up.
-- KEYS: stream, waiting stream, set of waiting streams, health, runs, hour, pace.
-- ARGV: key prefix of records, step of entries without one, runs at most, runs per hour at most (0: no limit),
--       entries per second at most, lease (ms), longest wait (ms).
-- The records' keys are built here: there is no Redis Cluster behind Sentinel.
-- Answers {how many came back, how many are left}.
local PAGE, SPARE, OVERDUE_EVERY = 100, 10, 10000
local stamp, lease, runs = now_ms(), tonumber(ARGV[6]), of_this_history(KEYS[5])
local wrong = unusable(KEYS[1], KEYS[2])
if wrong then return wrong end

local health = redis.call('HMGET', KEYS[4], 'open', 'closed_since', 'probe_until', 'next_probe', 'candidate_until', 'looked_until')
local open, closed_since = health[1], tonumber(health[2]) or 0

-- How many may be tried now.
local function room()
  local limit, per_hour = tonumber(ARGV[3]), tonumber(ARGV[4])
  if crowded(runs, KEYS[6], limit, per_hour, stamp, lease) then return 0 end
  if open then
    for i = 3, 5 do
      if is_ahead(health[i], stamp, lease) then return 0 end
    end
    return 1
  end
  local most = limit - redis.call('ZCARD', runs)
  if per_hour > 0 then most = math.min(most, per_hour - redis.call('ZCARD', KEYS[6])) end
  return math.min(most, pace_left(KEYS[7], stamp, tonumber(ARGV[5])))
end

-- Entries carry whole messages: no more are read than may be needed.
local function to_look_at(most)
  if open and not is_ahead(health[6], stamp, lease) then
    redis.call('HSET', KEYS[4], 'looked_until', stamp + OVERDUE_EVERY)
    return PAGE
  end
  return most > 0 and math.min(PAGE, most + SPARE) or 0
end

-- Since when the incident waits for the closed agent.
local function waits_since(id, rec)
  return tonumber(rec and rec.waiting_since) or math.max(closed_since, tonumber(string.match(id, '^(%d+)')))
end

local function bring(id, fields, incident, key, rec)
  local new = redis.call('XADD', KEYS[1], '*', unpack(fields))
  if not rec then
    write_begun(key, KEYS[1], new, incident, stamp)
  elseif not rec.newer and rec.entry_id == id and rec.stream == KEYS[2] then
    redis.call('HSET', key, 'entry_id', new, 'stream', KEYS[1])
  end
  redis.call('XDEL', KEYS[2], id)
end

local most = room()
local count, came, given_up = to_look_at(most), 0, 0
local rows = count > 0 and redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', count) or {}
for _, row in ipairs(rows) do
  local id, fields = row[1], row[2]
  local incident = (field(fields, 'workflow_id') or '') .. '-' .. (field(fields, 'step') or ARGV[2])
  local key = ARGV[1] .. incident
  local rec = record(key, 'state', 'entry_id', 'stream', 'waiting_since')
  if rec and FINAL[rec.state] then
    redis.call('XDEL', KEYS[2], id)
  elseif came < most then
    bring(id, fields, incident, key, rec)
    came = came + 1
    if open then
      redis.call('HSET', KEYS[4], 'candidate', incident, 'candidate_until', stamp + lease)
    else
      -- Its place is kept until a worker has it.
      count_run(KEYS[4], KEYS[5], incident, stamp, lease)
    end
  elseif open and stamp - waits_since(id, rec) > tonumber(ARGV[7]) then
    bring(id, fields, incident, key, rec)
    if not (rec and rec.newer) then redis.call('HSETNX', key, 'waiting_since', waits_since(id, rec)) end
    given_up = given_up + 1
  end
end
if came > 0 and redis.call('HEXISTS', KEYS[7], 'since') == 1 then redis.call('HINCRBY', KEYS[7], 'count', came) end
local left = redis.call('XLEN', KEYS[2])
if left == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[3], KEYS[2])
end
return { came + given_up, left }
