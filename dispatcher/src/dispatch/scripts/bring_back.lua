-- Brings one entry of a waiting stream back to the stream, for an operator; a closed agent may be tried with it at once.
-- KEYS: stream, record, waiting stream, set of waiting streams, the agent's health. ARGV: entry id, message id if the
--       record is gone.
-- Answers {back, id} {gone} {final, state} {newer}.
local fields = fields_of(KEYS[3], ARGV[1])
if not fields then return { 'gone' } end
local rec = record(KEYS[2], 'state', 'entry_id', 'stream')
if rec and rec.newer then return { 'newer' } end
local wrong = unusable(KEYS[1])
if wrong then return wrong end
local answer
if rec and FINAL[rec.state] then
  answer = { 'final', rec.state }
else
  local new = redis.call('XADD', KEYS[1], '*', unpack(fields))
  if not rec then
    write_begun(KEYS[2], KEYS[1], new, ARGV[2], now_ms())
  elseif rec.entry_id == ARGV[1] and rec.stream == KEYS[3] then
    redis.call('HSET', KEYS[2], 'entry_id', new, 'stream', KEYS[1])
  end
  redis.call('HDEL', KEYS[5], 'next_probe')
  answer = { 'back', new }
end
redis.call('XDEL', KEYS[3], ARGV[1])
if redis.call('XLEN', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[3])
  redis.call('SREM', KEYS[4], KEYS[3])
end
return answer
