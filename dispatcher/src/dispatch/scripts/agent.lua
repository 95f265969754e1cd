-- How an agent is doing and what it has been given, for the whole group. Shared by the scripts that send and wait.
-- health (hash): failing_since, failed_at, paused; open, closed_since, next_probe, tries, words while it is unreachable; probe, probe_until: the one
--   incident that tries it; candidate, candidate_until: one that was brought back to try it.
-- runs (sorted sets, one for each history of Redis: what was counted under another is void, and the holders count
--   theirs again with their first renewal): incident -> until when its run counts. hour (sorted set): message id -> when it was sent.
-- pace (hash): until; since, count: how many came back within the present second.
-- All times are Redis' milliseconds.
local HOUR, DAY, RECOVERY = 3600000, 86400, 60000

-- A clock that was set back must not keep an agent closed: no time is believed that lies further ahead than the longest
-- that is ever written.
local function furthest(lease) return math.max(900000, 2 * lease) end

local function is_ahead(text, stamp, lease)
  local at = tonumber(text) or 0
  return at > stamp and at - stamp <= furthest(lease)
end

-- Bookkeeping after what counts is written: a key of another type must not leave that half done.
local function quietly(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return nil end
  return reply
end

local function of_this_history(runs) return runs .. ':' .. replid() end

-- The agent is closed, and it is not for this incident to try it now.
local function is_closed_to(health, member, stamp, lease)
  local open = redis.call('HMGET', health, 'open', 'probe', 'probe_until', 'next_probe')
  if not open[1] or open[2] == member then return false end
  local probed = open[2] and is_ahead(open[3], stamp, lease)
  return probed or is_ahead(open[4], stamp, lease)
end

-- Removes the runs that count no longer.
local function purge(runs, stamp, lease)
  redis.call('ZREMRANGEBYSCORE', runs, '-inf', stamp)
  redis.call('ZREMRANGEBYSCORE', runs, stamp + furthest(lease), '+inf')
end

-- `full` or `storm`: the agent has as much as it may have; nil when there is room for one that has no place yet.
local function crowded(runs, hour, limit, per_hour, stamp, lease)
  purge(runs, stamp, lease)
  if redis.call('ZCARD', runs) >= limit then return 'full' end
  if per_hour > 0 then
    redis.call('ZREMRANGEBYSCORE', hour, '-inf', stamp - HOUR)
    redis.call('ZREMRANGEBYSCORE', hour, stamp + 1, '+inf')
    if redis.call('ZCARD', hour) >= per_hour then return 'storm' end
  end
end

-- Why nothing may be sent for this incident now; nil when it may.
local function closed(health, runs, hour, member, message_id, limit, per_hour, stamp, lease)
  if is_closed_to(health, member, stamp, lease) then return 'open' end
  runs = of_this_history(runs)
  local why = crowded(runs, hour, limit, per_hour, stamp, lease)
  -- What has its place already keeps it.
  if why == 'full' and redis.call('ZSCORE', runs, member) then why = crowded(runs, hour, math.huge, per_hour, stamp, lease) end
  if why == 'storm' and redis.call('ZSCORE', hour, message_id) then return nil end
  return why
end

-- The incident counts as one of the agent's runs for so long; a probe goes on as long.
local function count_run(health, runs, member, stamp, lease)
  runs = of_this_history(runs)
  quietly('ZADD', runs, stamp + lease, member)
  quietly('EXPIRE', runs, HOUR / 1000)
  if quietly('HGET', health, 'probe') == member then redis.call('HSET', health, 'probe_until', stamp + lease) end
end

-- A place among those who wait for a short trouble of the agent to pass; false when there are as many as it may run.
local function keep_place(runs, member, until_ms, limit, stamp, lease)
  runs = of_this_history(runs)
  purge(runs, stamp, lease)
  if not redis.call('ZSCORE', runs, member) and redis.call('ZCARD', runs) >= limit then return false end
  redis.call('ZADD', runs, until_ms, member)
  redis.call('EXPIRE', runs, HOUR / 1000)
  return true
end

local function end_run(runs, member) quietly('ZREM', of_this_history(runs), member) end

-- The incident does not try the agent any more; the next may after `pause`.
local function end_probe(health, member, stamp, pause)
  if quietly('HGET', health, 'candidate') == member then redis.call('HDEL', health, 'candidate', 'candidate_until') end
  if quietly('HGET', health, 'probe') ~= member then return false end
  redis.call('HDEL', health, 'probe', 'probe_until')
  redis.call('HSET', health, 'next_probe', stamp + pause)
  return true
end

-- An agent that was closed takes requests again: for a minute its entries come back at a rate.
local function begin_recovery(pace, stamp)
  redis.call('DEL', pace)
  redis.call('HSET', pace, 'until', stamp + RECOVERY)
  redis.call('EXPIRE', pace, DAY)
end

-- How many may come back now; a number too large to matter while there is no rate.
local function pace_left(pace, stamp, per_second)
  local h = redis.call('HMGET', pace, 'until', 'since', 'count')
  if not is_ahead(h[1], stamp, 0) then return math.huge end
  if math.abs(stamp - (tonumber(h[2]) or 0)) >= 1000 then
    redis.call('HSET', pace, 'since', stamp, 'count', 0)
    return per_second
  end
  return per_second - tonumber(h[3])
end
