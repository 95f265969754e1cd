-- Brings the oldest entries of a waiting stream back to the stream.
-- KEYS: stream, waiting stream, set of waiting streams. ARGV: how many, key prefix of records.
-- The records' keys are built here: there is no Redis Cluster behind Sentinel.
-- Answers {how many came back, how many are left}.
local came = 0
for _, row in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[1])) do
  local id, fields = row[1], row[2]
  local workflow_id, step = field(fields, 'workflow_id'), field(fields, 'step')
  local key = ARGV[2] .. (workflow_id or '') .. '-' .. (step or '')
  local rec = record(key, 'state', 'entry_id', 'stream')
  if not (rec and FINAL[rec.state]) then
    local new = redis.call('XADD', KEYS[1], '*', unpack(fields))
    if rec and not rec.newer and rec.entry_id == id and rec.stream == KEYS[2] then
      redis.call('HSET', key, 'entry_id', new, 'stream', KEYS[1])
    end
    came = came + 1
  end
  redis.call('XDEL', KEYS[2], id)
end
local left = redis.call('XLEN', KEYS[2])
if left == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[3], KEYS[2])
end
return { came, left }
