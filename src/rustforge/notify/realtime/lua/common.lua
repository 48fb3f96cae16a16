-- What the scripts of realtime share. KEYS: what the keys of a channel or room start with.
--
-- `:log` has the durable messages, `:live` those that are published at most once, and `:head` the ids of the last ones of
-- both. It is written with every message, so that a change of it tells of them. Ids grow over both kinds, by the time of
-- the server.
local base = KEYS[1]
local head = base .. ':head'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local last, lively = string.match(redis.call('GET', head) or '', '^(%S+) (%S+)$')

if not last then
  local newest = redis.call('XREVRANGE', base .. ':log', '+', '-', 'COUNT', 1)
  last, lively = newest[1] and newest[1][1] or '0-0', '0-0'
end

local function parts(id)
  local time, within = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(within)
end

local top, within = parts(last)
local other, other_within = parts(lively)
if other > top or (other == top and other_within > within) then
  top, within = other, other_within
end

-- Add a message, and return its id.
local function add(kind, longest, ...)
  if now > top then
    top, within = now, 0
  else
    within = within + 1
  end
  local id = string.format('%.0f-%.0f', top, within)
  return redis.call('XADD', base .. kind, 'MAXLEN', '~', longest, id, ...)
end

-- Let messages of a kind go that are older than so many milliseconds, and tell of the new ones. The head outlives them,
-- so that who comes back later is told whether there were any.
local function finish(kind, keep)
  redis.call('XTRIM', base .. kind, 'MINID', '~', string.format('%.0f', math.max(0, now - keep)))
  redis.call('PEXPIRE', base .. kind, keep)
  redis.call('SET', head, last .. ' ' .. lively, 'PX', math.max(2 * keep, redis.call('PTTL', head)))
end
