-- Shortens the stream by what is old enough and what no group needs any more; whole nodes only.
-- KEYS: stream. ARGV: longest age (ms), entries at most.
-- What is unread or pending in any group stays, and so does everything after it. A stream without a group is left
-- alone: nobody has read it. A group that cannot be read ends the script.
-- Answers {how many were removed, the group that keeps more from being removed or ''}.
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then
  if string.find(groups.err, 'no such key', 1, true) then return { 0, '' } end
  return groups
end
local oldest = now_ms() - tonumber(ARGV[1])
if #groups == 0 or oldest <= 0 then return { 0, '' } end
local from, keeper = string.format('%.0f-0', oldest), ''
for _, group in ipairs(groups) do
  local name = field(group, 'name')
  local needed = { field(group, 'last-delivered-id') }
  local pending = redis.call('XPENDING', KEYS[1], name)
  -- A group that was set back has delivered ids that lie after its last one.
  if pending[1] > 0 then needed[2] = pending[2] end
  for _, id in ipairs(needed) do
    if id_after(from, id) then from, keeper = id, name end
  end
end
return { redis.call('XTRIM', KEYS[1], 'MINID', '~', from, 'LIMIT', ARGV[2]), keeper }
