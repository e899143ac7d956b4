-- Sends the requests of a file; wrk -s requests.lua URL -- PATH FILE VISITS THREADS AUTHORIZATION
--
-- FILE holds one body a line, after its number of events. VISITS lines are a session:
-- its first visit, then those that follow, which are repeated for ever. A thread has one
-- connection. It owns every so many-th session and visits them in turn, so that no two
-- requests of a session are ever under way at once.

wrk.headers["Content-Type"] = "application/json"

-- Of the main program, which sets threads up and adds their figures.
local threads = {}

-- Of each thread: `number` is its own, `answered` how many events were.
local sessions, num_events = {}, {}
local turn, visit = 0, 1
local is_verified, asked = false, 0
answered = 0

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local path, file, num_visits, num_threads, authorization = unpack(args)
  wrk.headers["Authorization"] = authorization
  local index = 0
  for line in io.lines(file) do
    local events, body = line:match("^(%d+) (.*)$")
    local session = math.floor(index / num_visits)
    if session % num_threads == number then
      add(math.floor(session / num_threads) + 1, tonumber(events),
        wrk.format("POST", path, nil, body))
    end
    index = index + 1
  end
end

function add(session, events, text)
  sessions[session] = sessions[session] or {}
  table.insert(sessions[session], text)
  num_events[text] = events
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
      visit = math.min(2, #sessions[1])
    end
  end
  -- What was asked before has been answered: there is one connection.
  answered = answered + asked
  asked = num_events[sessions[turn][visit]]
  return sessions[turn][visit]
end

function done(summary, latency, requests)
  local errors, events = summary.errors, 0
  for _, thread in ipairs(threads) do
    events = events + thread:get("answered")
  end
  io.write(string.format(
    '{"requests": %d, "events": %d, "seconds": %.6f, "failed": %d, ' ..
    '"p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, events, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max))
end
