-- ARGV: epoch, how many jobs to claim, how many jobs are done that held nothing, their ids, how many are done that held
-- only a group, their ids each with its group, then for each other job what became of it, its id, and two arguments:
--   done ID result ms | retry ID delay error | snooze ID delay '' | release ID '' '' | dead ID error ''
--   cancelled ID '' '' | quarantine ID reason '' | park ID name ''
-- An id that this epoch does not run is fenced: nothing happens to it. Returns 0 alone where the epoch's lease was taken
-- away, else 1, ms until the next delayed job is due (-1: none), how many ids were fenced, and for each claimed job its
-- id, body and state.
local epoch, want = ARGV[1], tonumber(ARGV[2])
local flight, fenced = base .. 'flight:' .. epoch, 0

-- Those of the ids between two places of ARGV, a step apart, that this epoch runs.
local function owned(first, last, step)
  local ids, mine = {}, {}
  for index = first, last, step do
    ids[#ids + 1] = ARGV[index]
  end
  if #ids > 0 then
    for index, is in ipairs(call('SMISMEMBER', flight, unpack(ids))) do
      if is == 1 then
        mine[#mine + 1] = ids[index]
      else
        fenced = fenced + 1
      end
    end
  end
  return mine
end

local plain, grouped = tonumber(ARGV[3]), tonumber(ARGV[4 + ARGV[3]])
local at = 5 + plain
local mine, mine_grouped = owned(4, 3 + plain, 1), owned(at, at + 2 * grouped - 1, 2)
-- Whoever runs a job has a lease: both are taken away together.
if #mine + #mine_grouped == 0 and not call('ZSCORE', workers, epoch) then
  return { 0 }
end

local progress, paused = base .. 'progress', base .. 'paused'
-- In most queues at most times there is none of this, and one look tells.
local calm = call('EXISTS', state, progress, cancel, paused, delayed, levels.h, levels.l) == 0

local function drop(ids)
  call('SREM', flight, unpack(ids))
  call('HDEL', jobs, unpack(ids))
  if not calm then
    call('HDEL', state, unpack(ids))
    call('HDEL', progress, unpack(ids))
    call('SREM', cancel, unpack(ids))
    local alone = call('GET', base .. 'suspect:' .. epoch)
    if alone and call('SISMEMBER', flight, alone) == 0 then
      call('DEL', base .. 'suspect:' .. epoch)
    end
  end
end

if #mine > 0 then
  drop(mine)
end
if #mine_grouped > 0 then
  local groups = {}
  for index = at, at + 2 * grouped - 1, 2 do
    groups[ARGV[index]] = ARGV[index + 1]
  end
  drop(mine_grouped)
  for _, id in ipairs(mine_grouped) do
    leave_group(id, { g = groups[id] })
  end
end

local outcomes = {}

function outcomes.done(id, o, result, lifetime)
  if lifetime ~= '' then
    call('SET', base .. 'result:' .. id, result, 'PX', lifetime)
  end
  over(id, o, false)
end

function outcomes.retry(id, o, wait, problem)
  local found = state_of(id)
  found.a, found.e = found.a + 1, problem
  set_state(id, found)
  leave_slot(id, o)
  delay('1', id, now() + wait)
end

function outcomes.snooze(id, o, wait)
  local found = state_of(id)
  found.x = found.x + 1
  set_state(id, found)
  leave_slot(id, o)
  delay('1', id, now() + wait)
end

function outcomes.release(id, o)
  local found = state_of(id)
  found.x = found.x + 1
  set_state(id, found)
  ready(id, o, true)
end

function outcomes.dead(id, o, problem)
  local found = state_of(id)
  found.a, found.e = found.a + 1, problem
  set_state(id, found)
  leave(id, o, true)
  call('ZADD', dead, now(), id)
end

function outcomes.cancelled(id, o)
  over(id, o, true)
end

function outcomes.quarantine(id, o, reason)
  set_aside(id, o, reason)
end

function outcomes.park(id, o, name)
  leave_slot(id, o)
  call('RPUSH', base .. 'parked:' .. name, id)
  call('SADD', base .. 'parked', name)
end

for index = at + 2 * grouped, #ARGV, 4 do
  local id = ARGV[index + 1]
  if call('GET', base .. 'suspect:' .. epoch) == id then
    call('DEL', base .. 'suspect:' .. epoch)
  end
  if call('SREM', flight, id) == 1 then
    outcomes[ARGV[index]](id, options_of(id), ARGV[index + 2], ARGV[index + 3])
  else
    fenced = fenced + 1
  end
end

local answer = { 1, -1, fenced }
calm = calm and not woken -- what became of the others may have left any of it
if want > 0 and (calm or call('EXISTS', paused) == 0) then
  local cancelled = false
  if not calm then
    promote(100)
    cancelled = call('EXISTS', cancel) == 1
  end
  local ids = {}
  for _, list in ipairs(calm and { levels.n } or order) do
    while #ids < want do
      local popped = call('LPOP', list, want - #ids)
      if not popped then
        break
      end
      for _, id in ipairs(popped) do
        if cancelled and call('SREM', cancel, id) == 1 then
          over(id, options_of(id), true)
        else
          ids[#ids + 1] = id
        end
      end
    end
  end
  if #ids > 0 then
    call('SADD', flight, unpack(ids))
    local bodies = call('HMGET', jobs, unpack(ids))
    local states = calm and {} or call('HMGET', state, unpack(ids))
    for index, id in ipairs(ids) do
      answer[#answer + 1] = id
      answer[#answer + 1] = bodies[index] or ''
      answer[#answer + 1] = states[index] or ''
    end
  end
end
if not calm and call('EXISTS', paused) == 0 then
  answer[2] = next_due()
end
wake()
return answer
