-- An operator's retry of a dead or parked incident: back on the stream with a new run, the old copy removed.
-- KEYS: record, stream, copy's stream.
-- ARGV: copy's id, message id if the record is gone, 1: also what has settled since, entry fields...
-- Answers {retried, id} {gone} {running, state} {settled} {newer}.
if not fields_of(KEYS[3], ARGV[1]) then return { 'gone' } end
local rec = record(KEYS[1], 'state', 'message_id')
if rec and rec.newer then return { 'newer' } end
if rec and not FINAL[rec.state] then return { 'running', rec.state } end
if rec and rec.state == 'settled' and ARGV[3] ~= '1' then return { 'settled' } end
local wrong = unusable(KEYS[2])
if wrong then return wrong end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
start_again(KEYS[1], KEYS[2], id, rec and rec.message_id ~= '' and rec.message_id or ARGV[2], now_ms())
redis.call('XDEL', KEYS[3], ARGV[1])
return { 'retried', id }
