-- Note who is in a channel or room, and tell who came and went.
--
-- KEYS: what the keys of the channel or room start with.
-- ARGV: "keep", "leave" or "list"; how many milliseconds a member stays without being kept, and for how many
--       milliseconds the news stay; then of each connection of a member its id and, to keep it, the member as JSON and
--       what is known of them as JSON.
-- Returns of each connection that is there the member and what is known of them, with a line break between.
--
-- A member may have several connections: it came with the first and went with the last. All times are the server's.
local base, what, lease, keep = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local due, who, counts = base .. ':due', base .. ':who', base .. ':counts'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lively = false

local function tell(kind, member, info)
  lively = redis.call('XADD', base .. ':live', 'MAXLEN', '~', 1000, '*', 'e', 'presence', 'd',
    '{"type":"' .. kind .. '","member":' .. member .. ',"info":' .. info .. '}', 'i', '')
end

local function forget(connection)
  local known = redis.call('HGET', who, connection)
  redis.call('ZREM', due, connection)
  if known then
    redis.call('HDEL', who, connection)
    local member, info = string.match(known, '^([^\n]*)\n(.*)$')
    if redis.call('HINCRBY', counts, member, -1) <= 0 then
      redis.call('HDEL', counts, member)
      tell('left', member, info)
    end
  end
end

for _, connection in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now)) do
  forget(connection)
end
if what == 'leave' then
  for i = 4, #ARGV do
    forget(ARGV[i])
  end
elseif what == 'keep' then
  for i = 4, #ARGV, 3 do
    local connection, member, info = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    redis.call('ZADD', due, now + lease, connection)
    if redis.call('HSET', who, connection, member .. '\n' .. info) == 1
      and redis.call('HINCRBY', counts, member, 1) == 1 then
      tell('joined', member, info)
    end
  end
  for _, key in ipairs({due, who, counts}) do
    redis.call('PEXPIRE', key, 3 * lease)
  end
end

if lively then
  redis.call('PEXPIRE', base .. ':live', keep)
  local last = string.match(redis.call('GET', base .. ':head') or '0-0', '^%S+')
  redis.call('SET', base .. ':head', last .. ' ' .. lively,
    'PX', math.max(2 * keep, redis.call('PTTL', base .. ':head')))
end
return redis.call('HVALS', who)
