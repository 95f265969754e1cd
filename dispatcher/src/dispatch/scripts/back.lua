-- Brings the oldest entries of a waiting stream back: as many as the agent has room for, at a rate after it was
-- closed; one to try it with, when that is due, while it is closed. What has waited too long comes back to be given up.
-- KEYS: stream, waiting stream, set of waiting streams, health, runs, hour, pace.
-- ARGV: key prefix of records, step of entries without one, runs at most, runs per hour at most (0: no limit),
--       entries per second at most, lease (ms), longest wait (ms).
-- The records' keys are built here: there is no Redis Cluster behind Sentinel.
-- Answers {how many came back, how many are left}.
local MOST_LOOKED_AT = 100
local stamp, lease, runs = now_ms(), tonumber(ARGV[6]), of_this_history(KEYS[5])
local wrong = unusable(KEYS[1], KEYS[2])
if wrong then return wrong end

-- How many may be tried now.
local open = redis.call('HEXISTS', KEYS[4], 'open') == 1
local function room()
  if open then
    local times = redis.call('HMGET', KEYS[4], 'probe_until', 'next_probe', 'candidate_until')
    for i = 1, 3 do
      if stamp < (tonumber(times[i]) or 0) then return 0 end
    end
    return 1
  end
  redis.call('ZREMRANGEBYSCORE', runs, '-inf', stamp)
  local most = tonumber(ARGV[3]) - redis.call('ZCARD', runs)
  if tonumber(ARGV[4]) > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', stamp - HOUR)
    most = math.min(most, tonumber(ARGV[4]) - redis.call('ZCARD', KEYS[6]))
  end
  return math.min(most, pace_left(KEYS[7], stamp, tonumber(ARGV[5])))
end

local function bring(id, fields, key, rec)
  local new = redis.call('XADD', KEYS[1], '*', unpack(fields))
  if rec and not rec.newer and rec.entry_id == id and rec.stream == KEYS[2] then
    redis.call('HSET', key, 'entry_id', new, 'stream', KEYS[1])
  end
  redis.call('XDEL', KEYS[2], id)
end

local most, came, given_up = room(), 0, 0
for _, row in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', MOST_LOOKED_AT)) do
  local id, fields = row[1], row[2]
  local incident = (field(fields, 'workflow_id') or '') .. '-' .. (field(fields, 'step') or ARGV[2])
  local key = ARGV[1] .. incident
  local rec = record(key, 'state', 'entry_id', 'stream', 'waiting_since')
  local since = rec and tonumber(rec.waiting_since)
  if rec and FINAL[rec.state] then
    redis.call('XDEL', KEYS[2], id)
  elseif came < most then
    bring(id, fields, key, rec)
    came = came + 1
    if open then
      redis.call('HSET', KEYS[4], 'candidate', incident, 'candidate_until', stamp + lease)
    else
      -- Its place is kept until a worker has it.
      count_run(KEYS[4], KEYS[5], incident, stamp, lease)
    end
  elseif open and since and stamp - since > tonumber(ARGV[7]) then
    bring(id, fields, key, rec)
    given_up = given_up + 1
  elseif open and rec and not rec.newer and not since then
    -- It came here for another reason, and waits for the closed agent from now on.
    redis.call('HSET', key, 'waiting_since', stamp)
  end
end
if came > 0 and redis.call('HEXISTS', KEYS[7], 'since') == 1 then redis.call('HINCRBY', KEYS[7], 'count', came) end
local left = redis.call('XLEN', KEYS[2])
if left == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[3], KEYS[2])
end
return { came + given_up, left }
