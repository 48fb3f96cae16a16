-- ARGV: client, number of this batch, '1' where the ids may never come again, how many batch numbers of the client are
-- settled, these numbers, how many jobs may go straight to the ready ones, id and body of each of these, and id, body
-- and delay in ms of each of the others.
-- Returns pairs of a job's place in the batch and the other id under which it stands, or under which it has been.
local marks, number, once = base .. 'client:' .. ARGV[1], ARGV[2], ARGV[3] == '1'
local settled = tonumber(ARGV[4])
if call('HSETNX', marks, number, '') == 0 then -- it comes again, as its answer was lost on the way
  local known = call('HGET', marks, number)
  return known == '' and {} or cjson.decode(known)
end
if settled > 0 then
  call('HDEL', marks, unpack(ARGV, 5, 4 + settled))
end
call('PEXPIRE', marks, 60000) -- each time: a server that came back empty has forgotten what was said before
local plain, first, others = tonumber(ARGV[5 + settled]), 6 + settled, {}
local beyond = first + 2 * plain
if plain > 0 then
  local ids, fresh = {}, true
  for index = first, beyond - 1, 2 do
    ids[#ids + 1] = ARGV[index]
  end
  for _, body in ipairs(call('HMGET', jobs, unpack(ids))) do
    fresh = fresh and not body
  end
  if fresh then
    if call('HSET', jobs, unpack(ARGV, first, beyond - 1)) < plain then -- one of them is there twice
      local seen, all = {}, ids
      ids = {}
      for _, id in ipairs(all) do
        if not seen[id] then
          seen[id], ids[#ids + 1] = true, id
        end
      end
    end
    woken = call('RPUSH', levels.n, unpack(ids)) == #ids -- else who waits for work has heard already
  else -- some of them are there already
    for index = first, beyond - 1, 2 do
      enqueue(ARGV[index], ARGV[index + 1], 0, {})
    end
  end
end
for index = beyond, #ARGV, 3 do
  local id, place = ARGV[index], plain + (index - beyond) / 3
  if once and call('SADD', base .. 'sent', id) == 0 then
    others[#others + 1] = place
    others[#others + 1] = id
  else
    local standing = enqueue(id, ARGV[index + 1], tonumber(ARGV[index + 2]))
    if standing ~= id then
      if once then
        call('SREM', base .. 'sent', id) -- it did not come in, so it may come again
      end
      others[#others + 1] = place
      others[#others + 1] = standing
    end
  end
end
if #others > 0 then
  call('HSET', marks, number, cjson.encode(others))
end
wake()
return others
