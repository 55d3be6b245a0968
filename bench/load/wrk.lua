-- One run of wrk, told by environment variables; prints its figures as a line of JSON.
local method = os.getenv("BENCH_METHOD") or "GET"
local path = os.getenv("BENCH_PATH")
local distinct = os.getenv("BENCH_DISTINCT")
local body_bytes = tonumber(os.getenv("BENCH_BODY_BYTES") or "0")
local mean_delay_ms = tonumber(os.getenv("BENCH_DELAY_MS") or "0")

wrk.method = method
wrk.path = path
wrk.headers["User-Agent"] = "bench"
wrk.headers["Accept"] = "*/*"
local token = os.getenv("BENCH_TOKEN")
if token then wrk.headers["Authorization"] = "Bearer " .. token end
if body_bytes > 0 then
  wrk.body = string.rep("x", body_bytes)
  wrk.headers["Content-Type"] = "text/plain"
end

-- No URL comes twice, in this run or another: no cache can answer.
if distinct then
  local count = 0
  request = function()
    count = count + 1
    return wrk.format(method, path .. "?page=" .. distinct .. "." .. count)
  end
end

-- Clients that think between two requests, each time for another while: a rate below what saturates.
if mean_delay_ms > 0 then
  delay = function()
    return math.floor(math.random() * 2 * mean_delay_ms + 0.5)
  end
end

done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"notOk":%d,"broken":%d,"p50Ms":%.3f,"p99Ms":%.3f,"p999Ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000
  ))
end
