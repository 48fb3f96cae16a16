r"""The Lua scripts of the cache. Each touches one key, so all of them work on Redis Cluster.

They agree with `rustforge.cache.entry` on the header: byte 1 is 0xFF, byte 2 the flags (1: only a lease; 4 or 6: with
window and tags), bytes 3 to 18 the lease's owner, bytes 19 to 31 the lease's end in milliseconds of the server's
clock, bytes 32 to 44 the stale window in milliseconds, bytes 54 to 61 the entry's id, byte 62 the start of the tags.
"""

from __future__ import annotations

from rustforge.redis import Script

__all__ = [
    "ADD",
    "GCRA",
    "INCREMENT",
    "LEASE",
    "OWNED_ACQUIRE",
    "OWNED_DELETE",
    "OWNED_EXTEND",
    "RELEASE",
    "RENEW",
    "SETTLE",
    "TAG",
    "TOUCH",
]

_COMMON = r"""
local key = KEYS[1]
local head = redis.call('GETRANGE', key, 0, 61)
local flags = #head > 30 and string.byte(head, 1) == 255 and string.byte(head, 2) or 0
local bare = flags == 1
local soft = (flags == 4 or flags == 6) and #head > 61
local owner = (bare or soft) and string.sub(head, 3, 18) or ''
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function lease(token, milliseconds)
  redis.call('SET', key, string.format('\255\1%s%013d', token, 0), 'PX', milliseconds)
end
"""

LEASE = Script(
    "lease",
    _COMMON
    + r"""
-- ARGV: token, lease in ms, the identity of the value that the caller wants to replace (or ''), margin in ms, 1 where
-- the caller has no value to go on with. Returns {'mine', pttl}, {'busy', ms until the lease ends}, {'paused', ms} for
-- a while after a failure, or, where another value is there, {'value', 0}.
local token, length, seen, margin = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if redis.call('EXISTS', key) == 0 then
  lease(token, length)
  return {'mine', -2}
end
if owner == token then
  return {'mine', bare and -2 or redis.call('PTTL', key)}
end
if bare then
  return {'busy', redis.call('PTTL', key)}
end
if soft then
  if string.sub(head, 54, 61) ~= seen then
    return {'value', 0}
  end
  local wait = (tonumber(string.sub(head, 19, 31)) or 0) - now()
  local paused = owner == '0000000000000000'
  if wait > 0 and not (paused and ARGV[5] == '1') then
    return {paused and 'paused' or 'busy', wait}
  end
  local left = redis.call('PTTL', key)
  if left >= 0 and left < margin then
    lease(token, length)
    return {'mine', -2}
  end
  redis.call('SETRANGE', key, 2, string.format('%s%013d', token, now() + length))
  return {'mine', left}
end
if seen ~= '' and redis.sha1hex(redis.call('GET', key)) == seen then
  lease(token, length)
  return {'mine', -2}
end
return {'value', 0}
""",
)

RENEW = Script(
    "renew",
    _COMMON
    + r"""
-- ARGV: token, lease in ms, margin in ms. Returns the ms left of the value's life (-1: no expiry, -2: only a lease),
-- or -3 when the lease is lost. A value about to expire makes room for the bare lease.
if owner ~= ARGV[1] then
  return -3
end
local length = tonumber(ARGV[2])
if bare then
  redis.call('PEXPIRE', key, length)
  return -2
end
local left = redis.call('PTTL', key)
if left >= 0 and left < tonumber(ARGV[3]) then
  lease(ARGV[1], length)
  return -2
end
redis.call('SETRANGE', key, 18, string.format('%013d', now() + length))
return left
""",
)

SETTLE = Script(
    "settle",
    _COMMON
    + r"""
-- ARGV: token, value, time to live in ms (0: none). Stores the value only if the lease is still the caller's.
if owner ~= ARGV[1] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('SET', key, ARGV[2])
else
  redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
end
return 1
""",
)

RELEASE = Script(
    "release",
    _COMMON
    + r"""
-- ARGV: token, ms until the next try. Gives the lease back; a value that is there keeps others away for that time.
if owner ~= ARGV[1] then
  return 0
end
if bare then
  redis.call('DEL', key)
else
  redis.call('SETRANGE', key, 2, string.format('%016d%013d', 0, now() + tonumber(ARGV[2])))
end
return 1
""",
)

ADD = Script(
    "add",
    _COMMON
    + r"""
-- ARGV: value, time to live in ms (0: none), the identity of a value that may be replaced (or ''). Stores the value
-- where there is none; returns 2 where there is one with tags, which may have been invalidated.
if redis.call('EXISTS', key) == 1 and not bare and not (soft and string.sub(head, 54, 61) == ARGV[3]) then
  return soft and string.byte(head, 62) ~= 255 and 2 or 0
end
if ARGV[2] == '0' then
  redis.call('SET', key, ARGV[1])
else
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return 1
""",
)

TOUCH = Script(
    "touch",
    _COMMON
    + r"""
-- ARGV: time to live in ms (0: none). Gives a value, not a lease, a new time to live on top of its stale window.
-- Returns whether there was one, its whole life in ms (0: no end), and its tags, which must outlive it, as JSON.
if bare or redis.call('EXISTS', key) == 0 then
  return {0, 0, ''}
end
local life = tonumber(ARGV[1])
if life == 0 then
  redis.call('PERSIST', key)
else
  life = life + (soft and tonumber(string.sub(head, 32, 44)) or 0)
  redis.call('PEXPIRE', key, life)
end
local tags = ''
if soft and string.byte(head, 62) ~= 255 then
  local all = redis.call('GET', key)
  tags = string.sub(all, 62, (string.find(all, '\255', 62, true) or 62) - 1)
end
return {1, life, tags}
""",
)

INCREMENT = Script(
    "increment",
    _COMMON
    + r"""
-- ARGV: by, time to live in ms for a new counter (0: none). A lease counts as no value.
local new = bare or redis.call('EXISTS', key) == 0
if bare then
  redis.call('DEL', key)
end
redis.call('INCRBY', key, ARGV[1])
if new and ARGV[2] ~= '0' then
  redis.call('PEXPIRE', key, ARGV[2])
end
return redis.call('GET', key) -- as text, since a Lua number is exact only up to 2^53
""",
)

TAG = Script(
    "tag",
    r"""
-- ARGV: a fresh version, the life in ms that the tag must outlast (0: for ever). Returns the tag's version.
local version = redis.call('GET', KEYS[1])
local life = tonumber(ARGV[2])
if not version then
  version = ARGV[1]
  redis.call('SET', KEYS[1], version)
  if life > 0 then
    redis.call('PEXPIRE', KEYS[1], life)
  end
  return version
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  if life == 0 then
    redis.call('PERSIST', KEYS[1])
  elseif left < life then
    redis.call('PEXPIRE', KEYS[1], life)
  end
end
return version
""",
)

OWNED_ACQUIRE = Script(
    "owned_acquire",
    r"""
-- ARGV: token, lease in ms. Returns -1 when the caller owns the key now, else the ms until its owner's lease ends.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return math.max(redis.call('PTTL', KEYS[1]), 0)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1
""",
)

OWNED_DELETE = Script(
    "owned_delete",
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
)

OWNED_EXTEND = Script(
    "owned_extend",
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0",
)

GCRA = Script(
    "gcra",
    r"""
-- ARGV: limit, period in ms, cost. Times are microseconds of the server's clock.
-- Returns {allowed, remaining, retry after, reset after}.
local limit, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = period / limit
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local next_arrival = arrival + interval * cost
local early = next_arrival - period - now
if early > 0.5 then
  local remaining = math.floor((now + period - arrival) / interval + 0.000001)
  return {0, remaining, math.ceil(early), math.ceil(arrival - now)}
end
-- Expiry counts in whole milliseconds, so one more makes sure that nothing is forgotten early.
redis.call('SET', KEYS[1], string.format('%.0f', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000) + 1)
return {1, math.floor((now + period - next_arrival) / interval + 0.000001), 0, math.ceil(next_arrival - now)}
""",
)
