-- The life of a worker. ARGV: what to do, and its arguments.
local action, epoch = ARGV[1], ARGV[2]
even_if_full()

local function flight_of(one)
  return base .. 'flight:' .. one
end

-- Give back what an epoch runs: after a crash, with one recovery more, or by a worker that stops.
-- A job that was there in two crashes runs alone from then on, and says so before (suspect): then it alone is blamed.
local function give_back(one, counter, most)
  local suspect = call('GET', base .. 'suspect:' .. one)
  for _, id in ipairs(call('SMEMBERS', flight_of(one))) do
    local found, o = state_of(id), options_of(id)
    local blamed = counter == 'x' or not suspect or suspect == id
    found[blamed and counter or 'x'] = found[blamed and counter or 'x'] + 1
    set_state(id, found)
    if counter == 'r' and blamed and found.r > most then
      set_aside(id, o, string.format('the worker was lost %d times while it ran this job', found.r))
    elseif call('SISMEMBER', cancel, id) == 1 then
      over(id, o, true)
    else
      ready(id, o, true)
    end
  end
  call('DEL', flight_of(one), base .. 'suspect:' .. one)
  call('ZREM', workers, one)
end

local function claimed(ids)
  local answer = {}
  for _, id in ipairs(ids) do
    answer[#answer + 1] = id
    answer[#answer + 1] = call('HGET', jobs, id) or ''
    answer[#answer + 1] = call('HGET', state, id) or ''
  end
  return answer
end

local answer

if action == 'register' then
  -- ARGV: lease in ms. Returns a number greater than that of every worker before; from microseconds, as no two come in
  -- one, so that an idle queue may forget the last number.
  local time = call('TIME')
  local newest = math.max(time[1] * 1000000 + time[2], tonumber(call('GET', base .. 'epoch') or 0) + 1)
  local text = string.format('%.0f', newest)
  call('SET', base .. 'epoch', text)
  call('ZADD', workers, now() + ARGV[2], text)
  answer = text

elseif action == 'beat' then
  -- ARGV: epoch, lease in ms, recoveries at most, '1' where nobody is to be reaped now. Returns 0 alone where the lease
  -- was taken away, else 1, ms until the lease of another worker ends (-1: none), '1' where there is work to claim, ms
  -- until the next delayed job, how many jobs are dead and not in SQL, the ids to be cancelled, and the parked names.
  local lease, nearest = tonumber(ARGV[3]), -1
  if not call('ZSCORE', workers, epoch) then
    return { 0 }
  end
  call('ZADD', workers, now() + lease, epoch)
  local all = call('ZRANGE', workers, 0, -1, 'WITHSCORES')
  for index = 1, #all, 2 do
    local one, left = all[index], all[index + 1] - now()
    if one ~= epoch then
      if left > 10 * lease then -- the server's clock went back: nobody may be away for longer than that
        left = lease
        call('ZADD', workers, now() + lease, one)
      end
      if left > 0 then
        nearest = nearest < 0 and left or math.min(nearest, left)
      elseif ARGV[5] ~= '1' then
        give_back(one, 'r', tonumber(ARGV[4]))
      end
    end
  end
  answer = { 1, nearest, 0, -1, 0, {}, {} }
  local parked = base .. 'parked'
  if call('EXISTS', cancel, parked, dead, delayed, unpack(order)) > 0 then
    answer[3] = call('EXISTS', unpack(order)) > 0 and call('EXISTS', base .. 'paused') == 0 and 1 or 0
    answer[4] = next_due()
    answer[5] = call('ZCARD', dead)
    for _, id in ipairs(call('SMEMBERS', cancel)) do
      if call('SISMEMBER', flight_of(epoch), id) == 1 then
        answer[6][#answer[6] + 1] = id
      end
    end
    answer[7] = call('SMEMBERS', parked)
  end

elseif action == 'suspect' then
  -- ARGV: epoch, id of the job that runs alone now.
  answer = 0
  if call('SISMEMBER', flight_of(epoch), ARGV[3]) == 1 then
    call('SET', base .. 'suspect:' .. epoch, ARGV[3])
    answer = 1
  end

elseif action == 'adopt' then
  -- ARGV: epoch, how many, parked name. The worker knows the name, so it gets the jobs itself, but for those that find
  -- no slot.
  if not call('ZSCORE', workers, epoch) or call('EXISTS', base .. 'paused') == 1 then
    return {}
  end
  local ids, parked = {}, base .. 'parked:' .. ARGV[4]
  for _, id in ipairs(call('LPOP', base .. 'parked:' .. ARGV[4], ARGV[3]) or {}) do
    local o = options_of(id)
    local slots = o.c and base .. 'slots:' .. o.c[1]
    if slots and call('SCARD', slots) >= o.c[2] then
      call('RPUSH', parked, id)
    else
      if slots then
        call('SADD', slots, id)
      end
      ids[#ids + 1] = id
    end
  end
  if call('EXISTS', base .. 'parked:' .. ARGV[4]) == 0 then
    call('SREM', base .. 'parked', ARGV[4])
  end
  if #ids > 0 then
    call('SADD', flight_of(epoch), unpack(ids))
  end
  answer = claimed(ids)

elseif action == 'sync' then
  -- ARGV: epoch, the worker's next epoch, then the ids that the worker knows of, each with how often it had run before.
  -- The next epoch takes everything over, so a request that is still on its way finds the old one gone. Returns 0 alone
  -- where the old lease was taken away before, else 1 and the jobs that the worker has without knowing, as the answer
  -- that brought them was lost: those of other ids, and those that came again.
  local following = ARGV[3]
  if not call('ZSCORE', workers, following) then
    return { 0 }
  elseif call('ZREM', workers, epoch) == 1 then
    for _, part in ipairs({ 'flight:', 'suspect:' }) do
      if call('EXISTS', base .. part .. epoch) == 1 then
        call('RENAME', base .. part .. epoch, base .. part .. following)
      end
    end
  elseif call('EXISTS', flight_of(following)) == 0 then
    return { 0 }
  end
  local known, unknown = {}, {}
  for index = 4, #ARGV, 2 do
    known[ARGV[index]] = tonumber(ARGV[index + 1])
  end
  for _, id in ipairs(call('SMEMBERS', flight_of(following))) do
    local found = state_of(id)
    if known[id] ~= found.a + found.r + found.x then
      unknown[#unknown + 1] = id
    end
  end
  answer = claimed(unknown)
  table.insert(answer, 1, 1)

elseif action == 'leave' then
  -- ARGV: epoch. The worker stops; what it still runs is for others, at once.
  give_back(epoch, 'x')
  if call('ZCARD', workers) == 0 and call('EXISTS', jobs) == 0 then
    call('DEL', base .. 'epoch')
  end
  answer = 1
end
wake()
return answer
