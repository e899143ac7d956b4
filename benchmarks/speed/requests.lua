-- Sends the requests of a file, for wrk: wrk -s requests.lua URL -- PATH FILE VISITS THREADS
--
-- FILE holds one body a line, VISITS lines per session: the first visit, then those
-- that follow, which are repeated for ever. A thread is one connection. It owns every
-- so many-th session and visits one after another, so that no two requests of a session
-- are ever under way at once.

local num_threads = 0

function setup(thread)
  thread:set("number", num_threads)
  num_threads = num_threads + 1
end

local sessions, turn, visit = {}, 0, 1
local is_verified = false

function init(args)
  local path, file, visits = args[1], args[2], tonumber(args[3])
  local threads, lines = tonumber(args[4]), 0
  for body in io.lines(file) do
    local session = math.floor(lines / visits)
    if session % threads == number then
      local mine = math.floor(session / threads) + 1
      sessions[mine] = sessions[mine] or {}
      table.insert(sessions[mine], wrk.format("POST", path, nil, body))
    end
    lines = lines + 1
  end
end

function request()
  -- wrk has its first thread make one request that it looks at and does not send.
  if number == 0 and not is_verified then
    is_verified = true
    return sessions[1][1]
  end
  turn = turn + 1
  if turn > #sessions then
    turn, visit = 1, visit + 1
    if visit > #sessions[1] then
      visit = #sessions[1] > 1 and 2 or 1
    end
  end
  return sessions[turn][visit]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "failed": %d, ' ..
    '"p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max))
end
