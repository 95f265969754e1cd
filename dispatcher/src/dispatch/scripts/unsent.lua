-- A try that certainly did not reach the agent: the attempt is not counted, the state is what it was, and the
-- incident waits since the first such try. An agent that has failed for a lease, or is of no use, is closed.
-- KEYS: stream, record, health, runs, hour.
-- ARGV: group, consumer, entry id, workflow id, state before `sending`, attempts before it, incident, message id,
--       blame (none: this incident only, agent: it fails, pause: it is of no use), lease (ms), pause before the next
--       try (ms), what the agent asked for (ms, 0: nothing), a random number from 0 to 999, runs at most, the agent's
--       trouble, how long the try lasted (ms).
-- Answers {ok, ms since the first such try, stay or closed or crowded} {lost}. Stay: wait here and try again. Crowded:
-- as many wait so as the agent may run.
local LONGEST_PAUSE, MOST_DOUBLINGS = 30000, 5

-- An agent that asks to be left alone for a lease has said what would be found out by waiting for it.
local function closes(stamp, lease)
  if ARGV[9] == 'none' then return false end
  local last = redis.call('HMGET', KEYS[3], 'failed_at', 'paused')
  -- An agent that was silent has failed since it was asked.
  local began = stamp - tonumber(ARGV[16])
  local apart = began - (tonumber(last[1]) or 0)
  -- Nobody tried for longer than it was to be left alone: this failure is the first of a new series.
  if apart > (tonumber(last[2]) or 0) + 2 * lease then redis.call('HSET', KEYS[3], 'failing_since', began) end
  redis.call('HSET', KEYS[3], 'failed_at', stamp, 'paused', ARGV[11], 'words', ARGV[15])
  redis.call('EXPIRE', KEYS[3], 7 * DAY)
  local failing = stamp - (tonumber(redis.call('HGET', KEYS[3], 'failing_since')) or stamp)
  return ARGV[9] == 'pause' or failing >= lease or tonumber(ARGV[12]) >= lease
end

local function pause_of(tries)
  local longest = math.min(LONGEST_PAUSE, 1000 * 2 ^ math.min(tries, MOST_DOUBLINGS))
  return math.floor(math.max(longest * (0.5 + tonumber(ARGV[13]) / 2000), tonumber(ARGV[12])))
end

if not owns(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) then return { 'lost' } end
local rec = record(KEYS[2], 'state', 'entry_id')
if not rec or rec.newer or rec.state ~= 'sending' or rec.entry_id ~= ARGV[3] then return { 'lost' } end
local stamp, lease = now_ms(), tonumber(ARGV[10])
redis.call('HSET', KEYS[2], 'state', ARGV[5], 'attempts', ARGV[6], 'replid', replid(), 'updated_at', stamp)
redis.call('HSETNX', KEYS[2], 'waiting_since', stamp)
if tonumber(ARGV[6]) == 0 then redis.call('ZREM', KEYS[5], ARGV[8]) end

local open = redis.call('HEXISTS', KEYS[3], 'open') == 1
local tries = tonumber(redis.call('HGET', KEYS[3], 'tries')) or 0
local ended = end_probe(KEYS[3], ARGV[7], stamp, pause_of(tries))
-- Who only asked for its run, when a try was due, has tried the agent too.
if open and not ended and ARGV[9] ~= 'none' and not is_closed_to(KEYS[3], ARGV[7], stamp, lease) then
  redis.call('HSET', KEYS[3], 'next_probe', stamp + pause_of(tries))
  ended = true
end
if closes(stamp, lease) and not open then
  open, ended = true, true
  redis.call('HSET', KEYS[3], 'open', 1, 'closed_since', stamp, 'next_probe', stamp + pause_of(tries))
end
if ended then redis.call('HINCRBY', KEYS[3], 'tries', 1) end
local what = 'stay'
if open then
  end_run(KEYS[4], ARGV[7])
  what = 'closed'
elseif ARGV[9] == 'none' then
  -- Its trouble is its own and may last: it must not take the agent's places from others.
  end_run(KEYS[4], ARGV[7])
elseif not keep_place(KEYS[4], ARGV[7], stamp + tonumber(ARGV[11]) + lease, tonumber(ARGV[14]), stamp, lease) then
  what = 'crowded'
end
return { 'ok', stamp - (tonumber(redis.call('HGET', KEYS[2], 'waiting_since')) or stamp), what }
