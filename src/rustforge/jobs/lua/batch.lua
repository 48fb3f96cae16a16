-- Open a batch before its jobs come. ARGV: batch id, number of jobs, id and body of the job at its end.
local key = base .. 'batch:' .. ARGV[1]
if call('EXISTS', key) == 0 then
  call('HSET', key, 'left', ARGV[2], 'total', ARGV[2], 'failed', 0, 'id', ARGV[3], 'body', ARGV[4])
end
return 1
