-- Add messages to a channel or room, each event once.
--
-- ARGV: "1" for durable messages; how many stay; for how many milliseconds they do; then of each message its event id,
--       for how many milliseconds that is remembered, the event's name, and the payload. An event id that begins with a
--       tilde is only a sender's, and nobody's else; without one, nothing is remembered.
-- Returns the id of each, the first one where its event was there already.
--
-- A durable message names the one before it, so that a reader sees where some are missing.
local durable, longest, keep = ARGV[1] == '1', ARGV[2], tonumber(ARGV[3])
local kind, ids, added = durable and ':log' or ':live', {}, false

for i = 4, #ARGV, 4 do
  local event, seen, id = ARGV[i], base .. ':event:' .. ARGV[i], false
  if event ~= '' then
    id = redis.call('GET', seen)
  end
  if not id then
    local shown = string.sub(event, 1, 1) == '~' and '' or event
    if durable then
      id = add(kind, longest, 'e', ARGV[i + 2], 'd', ARGV[i + 3], 'i', shown, 'p', last)
      last = id
    else
      id = add(kind, longest, 'e', ARGV[i + 2], 'd', ARGV[i + 3], 'i', shown)
      lively = id
    end
    if event ~= '' then
      redis.call('SET', seen, id, 'PX', ARGV[i + 1])
    end
    added = true
  end
  ids[#ids + 1] = id
end

if added then
  finish(kind, keep)
end
return ids
