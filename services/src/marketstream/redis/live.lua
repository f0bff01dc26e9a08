-- Write the live state of one symbol, except for values that are older than those in Redis.
--
-- KEYS: status, price, current candle, last candle; then, for the default exchange, the short names of the last three.
-- ARGV: fence, then MsgPack of {price, price_id, price_time, current, last, status}: values as text, the candles and the
--       status as maps; nil for values that are not written. Then the channel, and the frame to publish on it once all
--       is written.
-- Returns "fenced" if a later owner has claimed the symbol, "lost" if this owner's claim does not exist (Redis has lost
-- its data, or never had the claim), otherwise "ok".

-- The number in a field; -1 for a field that is missing, or that holds what no processor writes.
local function number(text)
  return text and #text <= 18 and string.match(text, '^%d+$') and tonumber(text) or -1
end

-- Ids may lie above 2^53, beyond which a number of Lua is not exact: more digits, or greater ones, are a greater id.
local function is_greater(id, known)
  if not (known and string.match(known, '^%d+$')) then return true end
  if #id ~= #known then return #id > #known end
  return id > known
end

-- A price is newer by the time of its trade, then by its id: an exchange may begin its ids again, so a lower id alone
-- does not show an older trade. Unix seconds with six decimals are distinct numbers of Lua.
local function is_newer_price(state, known_time, known_id)
  local was = known_time and #known_time <= 18 and string.match(known_time, '^%d+%.?%d*$') and tonumber(known_time) or -1
  local is = tonumber(state.price_time)
  if is ~= was then return is > was end
  return is_greater(state.price_id, known_id)
end

local fence = tonumber(ARGV[1])
local held = number(redis.call('HGET', KEYS[1], 'fence'))
if held > fence then return 'fenced' end
if held < fence then return 'lost' end

local function put(key, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(flat))
end

-- A candle is newer if its fence is greater; if equal, its window_start; then its revision; then its trade_count.
local function is_newer(key, fields)
  local names = {'fence', 'window_start', 'revision', 'trade_count'}
  local known = redis.call('HMGET', key, unpack(names))
  for index, name in ipairs(names) do
    local was, is = number(known[index]), number(fields[name])
    if is ~= was then return is > was end
  end
  return false
end

local state = cmsgpack.unpack(ARGV[2])
if state.price then
  local known = redis.call('HMGET', KEYS[1], 'price_fence', 'price_time', 'price_id')
  if fence > number(known[1]) or is_newer_price(state, known[2], known[3]) then
    redis.call('SET', KEYS[2], state.price)
    if KEYS[5] then redis.call('SET', KEYS[5], state.price) end
    redis.call('HSET', KEYS[1], 'price', state.price, 'price_id', state.price_id, 'price_time', state.price_time,
      'price_fence', ARGV[1])
  end
end
for index, name in ipairs({'current', 'last'}) do
  local fields = state[name]
  if fields and is_newer(KEYS[2 + index], fields) then
    put(KEYS[2 + index], fields)
    if KEYS[5] then put(KEYS[5 + index], fields) end
  end
end
local flat = {}
for name, value in pairs(state.status) do
  flat[#flat + 1] = name
  flat[#flat + 1] = value
end
redis.call('HSET', KEYS[1], unpack(flat))
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'ok'
