-- Gives entries back: pending for `heir`, idle long enough to be claimed at once, delivery uncounted.
-- KEYS[1] stream; ARGV: group, consumer, heir, idle in ms, entry ids. Answers how many were given back.
local given = 0
for i = 5, #ARGV do
  local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #mine == 1 then
    local deliveries = math.max(0, mine[1][4] - 1)
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[i],
      'IDLE', ARGV[4], 'RETRYCOUNT', deliveries, 'JUSTID')
    given = given + 1
  end
end
return given
