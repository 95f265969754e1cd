-- Removes a consumer, the caller's or one that was left behind, only if nothing is pending in its name: XGROUP DELCONSUMER would
-- make such entries invisible for ever.
-- KEYS[1] stream; ARGV: group, consumer. Answers 1 removed, 0 kept, -1 unknown.
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending
  for i = 1, #row, 2 do
    if row[i] == 'name' then name = row[i + 1] elseif row[i] == 'pending' then pending = row[i + 1] end
  end
  if name == ARGV[2] then
    if pending > 0 then return 0 end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
  end
end
return -1
