-- What all scripts share. KEYS[1] is the base of one queue (or one shard of it); every key starts with it, and it holds
-- the hash tag, so all of them are in one slot. The only clock is the server's.
--
--   jobs      HASH id -> body, until the job is over          ready:high|normal|low  LIST of ids that may be claimed
--   state     HASH id -> JSON, only after something happened  delayed                ZSET stage and id -> due (ms)
--   group:G   LIST of ids that wait for their turn            heads                  HASH group -> the id whose turn it is
--   lane:K    LIST of ids that wait for a slot of K           slots:K                SET of ids that hold one
--   workers   ZSET epoch -> end of its lease (ms)             flight:E               SET of ids that epoch E runs
--   dead      ZSET id -> when; until its row is in SQL        quarantine             HASH id -> reason
--   parked    SET of names that no worker knew                parked:N               LIST of their ids
--   unique    HASH key -> id [end (ms)]                       batch:B                HASH left, total, failed, id, body
--   cancel    SET of ids to be cancelled                      progress               HASH id -> JSON
--   rate:K    the arrival time of the next job (GCRA)         result:I               what a job returned
--   client:C  HASH of batches that a client has sent          sent                   SET of ids that may not come again
--   suspect:E the id that epoch E runs alone, after crashes
--   paused    there while the queue is paused                 epoch                  the newest epoch
--   wake      changes when there is work; never stays
local base = KEYS[1] .. ':'
local call = redis.call
local jobs, state, delayed = base .. 'jobs', base .. 'state', base .. 'delayed'
local heads, unique, dead = base .. 'heads', base .. 'unique', base .. 'dead'
local workers, cancel, quarantine = base .. 'workers', base .. 'cancel', base .. 'quarantine'
local levels = { h = base .. 'ready:high', n = base .. 'ready:normal', l = base .. 'ready:low' }
local order = { levels.h, levels.n, levels.l }
local woken = false
local enqueue

local moment
local function now() -- milliseconds since 1970, the same throughout the script
  if not moment then
    local time = call('TIME')
    moment = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return moment
end

local function is_text(value)
  return type(value) == 'string'
end

local function is_number(value)
  return type(value) == 'number' and value > 0
end

local function is_limit(value)
  return type(value) == 'table' and is_text(value[1]) and is_number(value[2])
end

local kinds = {
  p = is_text, g = is_text, u = is_text, b = is_text, ul = is_number, c = is_limit,
  r = function(value)
    return is_limit(value) and is_number(value[3])
  end,
}

-- A full server refuses what may take memory, but not after another write. Workers and people make room, so they may.
local function even_if_full()
  call('DEL', base .. 'wake')
end

-- The options of a job: JSON behind its name in the first line of the body, which is never written again.
local function options(body)
  local line = string.match(body or '', '^[^\n]*')
  local space = string.find(line, ' ', 1, true)
  if not space then
    return {}
  end
  local ok, found = pcall(cjson.decode, string.sub(line, space + 1))
  if not ok or type(found) ~= 'table' then
    return {}
  end
  for key, kind in pairs(kinds) do -- whatever stands there, no script may fail at it: it would fail for ever
    if found[key] ~= nil and not kind(found[key]) then
      found[key] = nil
    end
  end
  return found
end

local function options_of(id)
  return options(call('HGET', jobs, id))
end

-- Attempts that failed (a), recoveries after a crash (r), times it was given back (x), the last error (e), for the job
-- at the end of a batch its outcome (b), and for one of a batch whether it was counted already (n).
local function state_of(id)
  local raw = call('HGET', state, id)
  return raw and cjson.decode(raw) or { a = 0, r = 0, x = 0 }
end

local function set_state(id, found)
  call('HSET', state, id, cjson.encode(found))
end

-- The way of a job: its delay, its turn in the group, its rate, a slot, ready.

local function ready(id, o, first)
  call(first and 'LPUSH' or 'RPUSH', levels[o.p or 'n'] or levels.n, id)
  woken = true
end

local function delay(stage, id, due)
  local member = stage .. id
  call('ZADD', delayed, math.ceil(due), member)
  woken = woken or call('ZRANGE', delayed, 0, 0)[1] == member -- who waits for a later one must hear
end

local function take_slot(id, o)
  if o.c then
    local slots = base .. 'slots:' .. o.c[1]
    if call('SISMEMBER', slots, id) == 0 then
      if call('SCARD', slots) >= o.c[2] then
        call('RPUSH', base .. 'lane:' .. o.c[1], id)
        return
      end
      call('SADD', slots, id)
    end
  end
  ready(id, o)
end

-- The generic cell rate algorithm, which gives each job its time at once.
local function pace(id, o)
  if o.r then
    local key, interval = base .. 'rate:' .. o.r[1], o.r[3] / o.r[2]
    local arrival = math.max(tonumber(call('GET', key) or 0), now())
    local following = arrival + interval
    call('SET', key, string.format('%.3f', following), 'PX', math.ceil(following - now()) + 1)
    local due = following - o.r[3]
    if due > now() then
      return delay('2', id, due)
    end
  end
  take_slot(id, o)
end

local function enter(id, o)
  if o.g and call('HSETNX', heads, o.g, id) == 0 and call('HGET', heads, o.g) ~= id then
    call('RPUSH', base .. 'group:' .. o.g, id)
    return
  end
  pace(id, o)
end

local stages = { ['0'] = enter, ['1'] = pace, ['2'] = take_slot }

-- Let in what is due. A job whose place in a rate has passed, as no worker was there, takes a new one: else all of them
-- would start together.
local function promote(limit)
  local due = call('ZRANGEBYSCORE', delayed, '-inf', now(), 'WITHSCORES', 'LIMIT', 0, limit)
  for index = 1, #due, 2 do
    local stage, id = string.sub(due[index], 1, 1), string.sub(due[index], 2)
    local o = options_of(id)
    if stage == '2' and o.r and now() - due[index + 1] > o.r[3] / o.r[2] then
      stage = '1'
    end
    call('ZREM', delayed, due[index])
    stages[stage](id, o)
  end
end

-- What a job held is for the others now.

local function leave_slot(id, o)
  if o.c and call('SREM', base .. 'slots:' .. o.c[1], id) == 1 then
    local following = call('LPOP', base .. 'lane:' .. o.c[1])
    if following then
      take_slot(following, options_of(following))
    end
  end
end

local function leave_group(id, o)
  if o.g and call('HGET', heads, o.g) == id then
    local following = call('LPOP', base .. 'group:' .. o.g)
    if following then
      call('HSET', heads, o.g, following)
      pace(following, options_of(following))
    else
      call('HDEL', heads, o.g)
    end
  end
end

-- One job of a batch is over; the last one brings the job at its end.
local function count_off(o, failed)
  local batch = o.b and base .. 'batch:' .. o.b
  if batch and call('EXISTS', batch) == 1 then
    if failed then
      call('HINCRBY', batch, 'failed', 1)
    end
    if call('HINCRBY', batch, 'left', -1) <= 0 then
      local last = call('HMGET', batch, 'id', 'body', 'total', 'failed')
      call('DEL', batch)
      if enqueue(last[1], last[2], 0) == last[1] then
        set_state(last[1], { a = 0, r = 0, x = 0, b = { tonumber(last[3]), tonumber(last[4]) } })
      end
    end
  end
end

local function leave(id, o, failed)
  leave_slot(id, o)
  if not (failed and o.gh) then
    leave_group(id, o)
  end
  if o.u then
    local holder = call('HGET', unique, o.u)
    if holder and string.match(holder, '^%S+') == id then
      call('HDEL', unique, o.u)
    end
  end
  if o.b and not state_of(id).n then
    count_off(o, failed)
  end
end

local function remove(id)
  call('HDEL', jobs, id)
  call('HDEL', state, id)
  call('HDEL', base .. 'progress', id)
  call('SREM', cancel, id)
end

local function over(id, o, failed)
  if o.gh and call('EXISTS', base .. 'group:' .. o.g) == 0 then
    o.gh = nil -- it was taken out, and nobody waits for it to be repeated
  end
  leave(id, o, failed)
  remove(id)
end

local function set_aside(id, o, reason)
  leave(id, o, true)
  call('HSET', quarantine, id, reason)
end

-- Take a job in, once, however often it comes. Returns the id under which it stands: its own, or that of the job which
-- has its unique key.
function enqueue(id, body, wait, o)
  o = o or options(body)
  local fresh = not o.u and call('HSETNX', jobs, id, body) == 1
  if not fresh and call('HEXISTS', jobs, id) == 1 then
    if call('ZREM', dead, id) == 0 then
      return id
    end
    remove(id) -- it is in SQL by now, and comes again from there
  end
  if o.u then
    local held = call('HGET', unique, o.u)
    local holder, ending = string.match(held or '', '^(%S+) ?(%d*)$')
    if holder and holder ~= id and (ending == '' or tonumber(ending) > now()) then
      count_off(o, false)
      return holder
    end
    call('HSET', unique, o.u, o.ul and string.format('%s %.0f', id, now() + o.ul) or id)
  end
  if not fresh then
    call('HSET', jobs, id, body)
  end
  if wait > 0 then
    delay('0', id, now() + wait)
  else
    enter(id, o)
  end
  return id
end

-- Milliseconds until the next delayed job is due, or -1.
local function next_due()
  local first = call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, math.ceil(first[2] - now())) or -1
end

-- Tell the workers that wait for work.
local function wake()
  if woken then
    call('SET', base .. 'wake', '')
    call('DEL', base .. 'wake')
  end
end
