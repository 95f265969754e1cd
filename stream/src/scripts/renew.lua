-- Renews leases: idle time 0 for every entry that is pending in the caller's name.
-- KEYS[1] stream; ARGV: group, consumer, entry ids. Answers the ids that the caller does not own.
-- A plain XCLAIM would silently take back what another consumer has claimed.
local lost = {}
for i = 3, #ARGV do
  local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #mine == 0 then
    lost[#lost + 1] = ARGV[i]
  else
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return lost
