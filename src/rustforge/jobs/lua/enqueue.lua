-- ARGV: client, number of this batch, '1' where the ids may never come again, how many batch numbers of the client are
-- settled, these numbers, then for each job: id, body, delay in ms, '1' where it has options.
-- Returns pairs of a job's place in the batch and the other id under which it stands, or under which it has been.
local marks, number, once = base .. 'client:' .. ARGV[1], ARGV[2], ARGV[3] == '1'
local settled = tonumber(ARGV[4])
if settled > 0 then
  call('HDEL', marks, unpack(ARGV, 5, 4 + settled))
end
local known = call('HGET', marks, number)
if known then -- it comes again, as its answer was lost on the way
  return cjson.decode(known)
end
local others, ids, plain = {}, {}, {}
for index = 5 + settled, #ARGV, 4 do
  local id, wait = ARGV[index], tonumber(ARGV[index + 2])
  local place = (index - 5 - settled) / 4
  if once and call('SADD', base .. 'sent', id) == 0 then
    others[#others + 1] = place
    others[#others + 1] = id
  elseif ARGV[index + 3] == '1' or wait > 0 then
    local standing = enqueue(id, ARGV[index + 1], wait)
    if standing ~= id then
      if once then
        call('SREM', base .. 'sent', id) -- it did not come in, so it may come again
      end
      others[#others + 1] = place
      others[#others + 1] = standing
    end
  else
    ids[#ids + 1] = id
    plain[#plain + 1] = id
    plain[#plain + 1] = ARGV[index + 1]
  end
end
if #ids > 0 then
  local fresh = true
  for _, body in ipairs(call('HMGET', jobs, unpack(ids))) do
    fresh = fresh and not body
  end
  if fresh then
    if call('HSET', jobs, unpack(plain)) < #ids then -- one of them is there twice
      local seen, all = {}, ids
      ids = {}
      for _, id in ipairs(all) do
        if not seen[id] then
          seen[id], ids[#ids + 1] = true, id
        end
      end
    end
    call('RPUSH', levels.n, unpack(ids))
    woken = true
  else -- some of them are there already
    for index = 1, #plain, 2 do
      enqueue(plain[index], plain[index + 1], 0, {})
    end
  end
end
call('HSET', marks, number, cjson.encode(others))
call('PEXPIRE', marks, 60000)
wake()
return others
