-- One instant of an entry of the scheduler: it is enqueued, and remembered as the entry's last one, in the same breath.
-- HASH cron: entry -> its last instant (ms), whether it was enqueued or passed over. ARGV: entry, the last instant that
-- the caller knows of (''), then the instant to fire ('' only asks), the greatest lateness in ms ('' for none), the id
-- and the body ('' passes the instant over). Returns the server's time, the entry's last instant, and the id under which
-- the job stands ('' where nothing was enqueued).
local entries, entry, standing = base .. 'cron', ARGV[1], ''
local last, known, instant = tonumber(call('HGET', entries, entry) or ''), tonumber(ARGV[2]), tonumber(ARGV[3])
local before = last
if known and known > (last or -1) then
  last = known -- the server has forgotten, as after a failover
end
last = last or now() -- a new entry begins now
if instant and instant > last and instant <= now() then
  last = instant
  if ARGV[6] ~= '' and now() - instant <= (tonumber(ARGV[4]) or now()) then
    standing = enqueue(ARGV[5], ARGV[6], 0)
  end
end
if last ~= before then
  call('HSET', entries, entry, string.format('%.0f', last))
end
if call('PTTL', entries) < 17280000000 then
  call('PEXPIRE', entries, 34560000000) -- 400 days after the last scheduler is gone, nothing is left of it
end
wake()
return { now(), last, standing }
