-- What people ask of a queue. ARGV: what to do, and its arguments.
local action = ARGV[1]
local answer
even_if_full()

-- Whether a job that is the head of its group is dead, and the others wait for somebody to decide.
local function holds(id)
  return call('HEXISTS', jobs, id) == 0 or call('ZSCORE', dead, id) or call('HEXISTS', quarantine, id) == 1
end

if action == 'cancel' then
  -- ARGV: id. Returns 0 where there is no such job, 1 where it will not run, 2 where it runs and was asked to stop.
  local id = ARGV[2]
  local body = call('HGET', jobs, id)
  if not body or call('ZSCORE', dead, id) or call('HEXISTS', quarantine, id) == 1 then
    return 0
  end
  for _, epoch in ipairs(call('ZRANGE', workers, 0, -1)) do
    if call('SISMEMBER', base .. 'flight:' .. epoch, id) == 1 then
      call('SADD', cancel, id)
      return 2
    end
  end
  local o = options(body)
  local out = call('ZREM', delayed, '0' .. id, '1' .. id, '2' .. id)
    + (o.g and call('LREM', base .. 'group:' .. o.g, 1, id) or 0)
    + (o.c and call('LREM', base .. 'lane:' .. o.c[1], 1, id) or 0)
  for _, name in ipairs(call('SMEMBERS', base .. 'parked')) do
    if call('LREM', base .. 'parked:' .. name, 1, id) == 1 then
      out = out + 1
      if call('EXISTS', base .. 'parked:' .. name) == 0 then
        call('SREM', base .. 'parked', name)
      end
    end
  end
  if out > 0 then
    over(id, o, true)
  else
    call('SADD', cancel, id) -- it is ready, in a list that may be long: who claims it drops it
  end
  answer = 1

elseif action == 'clear' then
  -- ARGV: how many at most. Removes jobs that no worker runs. Returns how many; 0 when there are none left.
  local most, gone = tonumber(ARGV[2]), {}
  local function take(ids, from)
    for _, id in ipairs(ids or {}) do
      gone[#gone + 1] = string.sub(id, from or 1)
    end
  end
  for _, list in ipairs(order) do
    if #gone < most then
      take(call('LPOP', list, most - #gone))
    end
  end
  if #gone < most then
    local popped = call('ZPOPMIN', delayed, most - #gone)
    for index = 1, #popped, 2 do
      gone[#gone + 1] = string.sub(popped[index], 2)
    end
  end
  for _, name in ipairs(call('SMEMBERS', base .. 'parked')) do
    if #gone < most then
      take(call('LPOP', base .. 'parked:' .. name, most - #gone))
    end
    if call('EXISTS', base .. 'parked:' .. name) == 0 then
      call('SREM', base .. 'parked', name)
    end
  end
  if #gone == 0 then -- what waits behind others that stay: running, parked, held
    for _, group in ipairs(call('HKEYS', heads)) do
      if #gone < most then
        take(call('LPOP', base .. 'group:' .. group, most - #gone))
      end
    end
    for _, epoch in ipairs(call('ZRANGE', workers, 0, -1)) do
      for _, id in ipairs(call('SMEMBERS', base .. 'flight:' .. epoch)) do
        local o = options_of(id)
        if o.c and #gone < most then
          take(call('LPOP', base .. 'lane:' .. o.c[1], most - #gone))
        end
      end
    end
  end
  for _, id in ipairs(gone) do -- it grows meanwhile: what waits behind a job goes with it
    local o = options_of(id)
    if o.g and #gone < most and call('HGET', heads, o.g) == id then
      take(call('LPOP', base .. 'group:' .. o.g, most - #gone))
    end
    o.gh = nil
    over(id, o, true)
  end
  answer = #gone

elseif action == 'pause' then
  call('SET', base .. 'paused', string.format('%.0f', now()))
  answer = 1

elseif action == 'resume' then
  answer = call('DEL', base .. 'paused')
  woken = true

elseif action == 'bury' then
  -- ARGV: ids of dead jobs whose rows are in SQL, each with the time of its death: one that lived and died anew stays.
  answer = 0
  for index = 2, #ARGV, 2 do
    if tonumber(call('ZSCORE', dead, ARGV[index]) or '') == tonumber(ARGV[index + 1]) then
      call('ZREM', dead, ARGV[index])
      remove(ARGV[index])
      answer = answer + 1
    end
  end

elseif action == 'requeue' then
  -- ARGV: id of a job in quarantine. It starts anew.
  local body, found, reason = call('HGET', jobs, ARGV[2]), state_of(ARGV[2]), call('HGET', quarantine, ARGV[2])
  answer = 0
  if reason then
    call('HDEL', quarantine, ARGV[2])
    remove(ARGV[2])
    if enqueue(ARGV[2], body, 0) == ARGV[2] then
      answer = 1
      -- Its runs count on for the fence; for its batch it counts no more.
      local counted = found.n or (options(body).b and 1)
      set_state(ARGV[2], { a = 0, r = 0, x = found.a + found.r + found.x, b = found.b, n = counted })
    else -- another job has its unique key now
      call('HSET', jobs, ARGV[2], body)
      set_state(ARGV[2], found)
      call('HSET', quarantine, ARGV[2], reason)
    end
  end

elseif action == 'discard' then
  answer = call('HDEL', quarantine, ARGV[2])
  if answer == 1 then
    leave_group(ARGV[2], options_of(ARGV[2]))
    remove(ARGV[2])
  end

elseif action == 'let_go' then
  -- ARGV: group, and the id of the job that holds it, if only that one. It is given up, and the next one has its turn.
  local id = call('HGET', heads, ARGV[2])
  answer = 0
  if id and (ARGV[3] or id) == id and holds(id) then
    leave_group(id, { g = ARGV[2] })
    answer = 1
  end

elseif action == 'held' then
  -- ARGV: cursor of HSCAN. Returns the next one, then of some of the groups those that are held, each with the id.
  local found = call('HSCAN', heads, ARGV[2], 'COUNT', 500)
  answer = { found[1] }
  for index = 1, #found[2], 2 do
    if holds(found[2][index + 1]) then
      answer[#answer + 1] = found[2][index]
      answer[#answer + 1] = found[2][index + 1]
    end
  end

elseif action == 'stats' then
  local found = {
    ready = call('LLEN', levels.h) + call('LLEN', levels.n) + call('LLEN', levels.l), delayed = call('ZCARD', delayed),
    running = 0, dead = call('ZCARD', dead), quarantined = call('HLEN', quarantine), parked = 0,
    jobs = call('HLEN', jobs), workers = call('ZCARD', workers), paused = call('EXISTS', base .. 'paused'), oldest = '',
  }
  for _, epoch in ipairs(call('ZRANGE', workers, 0, -1)) do
    found.running = found.running + call('SCARD', base .. 'flight:' .. epoch)
  end
  for _, name in ipairs(call('SMEMBERS', base .. 'parked')) do
    found.parked = found.parked + call('LLEN', base .. 'parked:' .. name)
  end
  for _, list in ipairs(order) do
    local first = call('LINDEX', list, 0)
    if first and (found.oldest == '' or first < found.oldest) then
      found.oldest = first
    end
  end
  found.now = now()
  return cjson.encode(found)
end
if call('EXISTS', jobs, workers) == 0 then
  call('DEL', base .. 'epoch')
end
wake()
return answer
