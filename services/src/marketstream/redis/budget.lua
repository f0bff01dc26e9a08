-- Take weight from a bucket that all processes share, by the clock of Redis.
--
-- KEYS: the bucket, a hash of `tokens` (its content), `at` (time of that content, ms) and `stopped_until` (ms).
-- ARGV: weight to take, capacity of the bucket, refill per minute, ms for which to stop all processes (0: take weight).
-- Returns {stopped, ms}: {0, 0} if the weight was taken or the stop was stored; otherwise the ms after which to retry,
-- with stopped = 1 if the reason is a stop.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local weight, most, per_minute, stop = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'stopped_until')
local stopped_until = tonumber(held[3] or '0')

local function keep(...)
  redis.call('HSET', KEYS[1], ...)
  -- A bucket from which nobody has taken for two minutes is full: to forget it changes nothing.
  redis.call('PEXPIRE', KEYS[1], math.max(120000, stopped_until - now + 1000))
end

if stop > 0 then
  stopped_until = math.max(stopped_until, now + stop)
  keep('stopped_until', string.format('%.0f', stopped_until))
  return {0, 0}
end
if stopped_until > now then return {1, stopped_until - now} end

-- The clock of Redis may have been set back. Then nothing is refilled until it has caught up.
local at = tonumber(held[2] or now)
local tokens = math.min(most, tonumber(held[1] or most) + math.max(0, now - at) * per_minute / 60000)
if tokens < weight then
  return {0, math.ceil((weight - tokens) * 60000 / per_minute)}
end
keep('tokens', string.format('%.3f', tokens - weight), 'at', string.format('%.0f', math.max(now, at)))
return {0, 0}
