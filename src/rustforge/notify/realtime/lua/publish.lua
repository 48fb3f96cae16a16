-- Add messages to a channel or room, each event once.
--
-- KEYS: what the keys of the channel or room start with.
-- ARGV: "1" for durable messages; how many stay; for how many milliseconds they do; then of each message its event id,
--       for how many milliseconds that is remembered, the event's name, and the payload. An event id that begins with a
--       tilde is only a sender's, and nobody's else; without one, nothing is remembered.
-- Returns the id of each, the first one where its event was there already.
--
-- `:head` holds the id of the last message of each kind and is written with every message, so that a change of it tells
-- of them. A durable message names the one before it, so that a reader sees where some are missing.
local base, durable, longest, keep = KEYS[1], ARGV[1] == '1', ARGV[2], tonumber(ARGV[3])
local head, log = base .. ':head', base .. (durable and ':log' or ':live')
local last, lively = string.match(redis.call('GET', head) or '0-0 0-0', '^(%S+) (%S+)$')
local ids, added = {}, false

for i = 4, #ARGV, 4 do
  local event, seen, id = ARGV[i], base .. ':event:' .. ARGV[i], false
  local shown = string.sub(event, 1, 1) == '~' and '' or event
  if event ~= '' then
    id = redis.call('GET', seen)
  end
  if not id then
    if durable then
      id = redis.call('XADD', log, 'MAXLEN', '~', longest, '*',
        'e', ARGV[i + 2], 'd', ARGV[i + 3], 'i', shown, 'p', last)
      last = id
    else
      id = redis.call('XADD', log, 'MAXLEN', '~', longest, '*', 'e', ARGV[i + 2], 'd', ARGV[i + 3], 'i', shown)
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
  local now = redis.call('TIME')
  redis.call('XTRIM', log, 'MINID', '~', string.format('%.0f', math.max(0, now[1] * 1000 - keep)))
  redis.call('PEXPIRE', log, keep)
  -- it outlives the messages, so that who comes back later is told whether there were any
  redis.call('SET', head, last .. ' ' .. lively, 'PX', math.max(2 * keep, redis.call('PTTL', head)))
end
return ids
