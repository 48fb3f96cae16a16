-- Note who is in a channel or room, and tell who came and went.
--
-- ARGV: "keep", "leave" or "list"; how many milliseconds a member stays without being kept, and for how many
--       milliseconds the news stay; then of each connection of a member its id and, to keep it, the member as JSON and
--       what is known of them as JSON.
-- Returns of each connection that is there the member and what is known of them, with a line break between.
--
-- A member may have several connections: it came with the first and went with the last.
local what, lease, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local due, who, counts = base .. ':due', base .. ':who', base .. ':counts'
local told = false

local function tell(kind, member, info)
  lively = add(':live', 1000, 'e', 'presence', 'd',
    '{"type":"' .. kind .. '","member":' .. member .. ',"info":' .. info .. '}', 'i', '')
  told = true
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

if told then
  finish(':live', keep)
end
return redis.call('HVALS', who)
