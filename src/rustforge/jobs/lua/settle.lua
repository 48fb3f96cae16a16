-- ARGV: epoch, how many jobs to claim, how many jobs are done that held nothing, their ids, then for each other job what
-- became of it, its id, and two arguments:
--   done ID result ms | retry ID delay error | snooze ID delay '' | release ID '' '' | dead ID error ''
--   cancelled ID '' '' | quarantine ID reason '' | park ID name ''
-- An id that this epoch does not run is fenced: nothing happens to it. Returns 0 alone where the epoch's lease was taken
-- away, else 1, ms until the next delayed job is due (-1: none), how many ids were fenced, and for each claimed job its
-- id, body and state.
local epoch, want, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not call('ZSCORE', workers, epoch) then
  return { 0 }
end
local flight, fenced = base .. 'flight:' .. epoch, 0

local function drop(key, ids)
  if call('EXISTS', key) == 1 then
    call(key == cancel and 'SREM' or 'HDEL', key, unpack(ids))
  end
end

if count > 0 then
  local ids = { unpack(ARGV, 4, 3 + count) }
  local mine = {}
  for index, is in ipairs(call('SMISMEMBER', flight, unpack(ids))) do
    if is == 1 then
      mine[#mine + 1] = ids[index]
    end
  end
  fenced = count - #mine
  if #mine > 0 then
    call('SREM', flight, unpack(mine))
    call('HDEL', jobs, unpack(mine))
    drop(state, mine)
    drop(base .. 'progress', mine)
    drop(cancel, mine)
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
  delay('1', id, now + wait)
end

function outcomes.snooze(id, o, wait)
  local found = state_of(id)
  found.x = found.x + 1
  set_state(id, found)
  leave_slot(id, o)
  delay('1', id, now + wait)
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
  call('ZADD', dead, now, id)
end

function outcomes.cancelled(id, o)
  over(id, o, true)
end

function outcomes.quarantine(id, o, reason)
  set_aside(id, o, reason)
end

function outcomes.park(id, _, name)
  call('RPUSH', base .. 'parked:' .. name, id)
  call('SADD', base .. 'parked', name)
end

for index = 4 + count, #ARGV, 4 do
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
if want > 0 and call('EXISTS', base .. 'paused') == 0 then
  promote(100)
  local cancelled = call('EXISTS', cancel) == 1
  local ids = {}
  for _, list in ipairs(order) do
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
    local states = call('EXISTS', state) == 1 and call('HMGET', state, unpack(ids)) or {}
    for index, id in ipairs(ids) do
      answer[#answer + 1] = id
      answer[#answer + 1] = bodies[index] or ''
      answer[#answer + 1] = states[index] or ''
    end
  end
end
answer[2] = next_due()
wake()
return answer
