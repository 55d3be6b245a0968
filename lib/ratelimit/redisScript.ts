/**
 * The arithmetic of `gcra.ts`, by Redis's clock, for all buckets of a request at once: it is counted in every one of KEYS, or in
 * none. ARGV holds three numbers for each: requests, windowMs, burst. Returns, for each, how long it keeps the request waiting
 * in milliseconds (0: it does not) and its level after that.
 *
 * GETEX, which is no read-only command, reads a bucket without being tracked: a connection that tracks what it reads (CLIENT
 * TRACKING) would be told of every request on every gateway, which costs half of the CPU of counting.
 */
export const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local levels, rates, ahead, reply, isRefused = {}, {}, {}, {}, false

local function keep(i, level)
  local state = string.format('%.0f %.0f %.0f', level, rates[i].windowMs, now)
  redis.call('SET', KEYS[i], state, 'PX', math.max(1, math.ceil(level / rates[i].requests)))
end

for i, key in ipairs(KEYS) do
  local rate = {
    requests = tonumber(ARGV[3 * i - 2]), windowMs = tonumber(ARGV[3 * i - 1]), burst = tonumber(ARGV[3 * i])
  }
  local level, windowMs, at = string.match(redis.call('GETEX', key) or '', '^(%d+) (%d+) (%d+)$')
  if level then
    level, windowMs, at = tonumber(level), tonumber(windowMs), tonumber(at)
    if windowMs ~= rate.windowMs then level = math.ceil(level * rate.windowMs / windowMs) end
    ahead[i] = at > now
    level = math.max(0, level - math.max(0, now - at) * rate.requests)
  else
    level = 0
  end
  local wait = math.max(0, math.ceil((level + rate.windowMs - rate.burst * rate.windowMs) / rate.requests))
  isRefused = isRefused or wait > 0
  levels[i], rates[i], reply[2 * i - 1] = level, rate, wait
end

for i = 1, #KEYS do
  if not isRefused then
    levels[i] = levels[i] + rates[i].windowMs
    keep(i, levels[i])
  elseif ahead[i] and levels[i] > 0 then
    -- The clock was turned back: from now on this one counts, or nothing would leave the bucket until it is as late again.
    keep(i, levels[i])
  end
  reply[2 * i] = levels[i]
end
return reply
`;
