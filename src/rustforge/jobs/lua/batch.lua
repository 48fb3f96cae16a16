-- Open a batch before its jobs come. ARGV: batch id, number of jobs, id and body of the job at its end. It goes by itself
-- unless it is made to stay once all of its jobs are there: a caller that dies in between leaves nothing behind.
local key = base .. 'batch:' .. ARGV[1]
if call('EXISTS', key) == 0 then
  call('HSET', key, 'left', ARGV[2], 'total', ARGV[2], 'failed', 0, 'id', ARGV[3], 'body', ARGV[4])
  call('PEXPIRE', key, 600000)
end
return 1
