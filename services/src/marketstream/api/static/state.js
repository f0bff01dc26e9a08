// What the page knows: the choice of the user, and of each stream what its messages have told.

import { decimalsOf } from './format.js';

/** A stream before its first snapshot. */
export function emptyStream() {
  return {
    candles: new Map(), // closed candles by window_start, in order of time
    newest: null, // window_start of the last of them
    open: null,
    price: null,
    trades: [],
    freshness: null,
    receivedUs: null,
    decimals: 0, // of its prices: most digits after the point seen
    version: 0, // rises when its candles are to be drawn anew
    touched: new Set(), // window_start of those that have changed since they were drawn
    exhausted: false, // whether there are no older candles
  };
}

const TRADES_KEPT = 60;

/** Takes a message into the stream. Returns the candle that it corrected, if it did. */
export function apply(stream, message) {
  if (message.received_us !== null) stream.receivedUs = message.received_us;
  switch (message.type) {
    case 'snapshot':
      applySnapshot(stream, message);
      return null;
    case 'candle':
      return applyCandle(stream, message);
    case 'price':
      stream.price = message.price;
      widen(stream, message.price.price);
      return null;
    case 'trades':
      stream.trades = stream.trades.concat(message.trades).slice(-TRADES_KEPT);
      return null;
    case 'state':
      stream.freshness = message.freshness;
      return null;
    default:
      throw new Error(`a stream has no messages of type ${JSON.stringify(message.type)}`);
  }
}

function applySnapshot(stream, { candles, open, price, trades, freshness }) {
  stream.candles = new Map(candles.map((candle) => [candle.window_start, candle]));
  stream.newest = candles.at(-1)?.window_start ?? null;
  Object.assign(stream, { open, price, trades, freshness, version: stream.version + 1, exhausted: false });
  stream.touched.clear();
  for (const candle of candles) widen(stream, candle.high, candle.low, candle.close);
  if (price) widen(stream, price.price);
}

function applyCandle(stream, { closed, candle }) {
  const { candles, open } = stream;
  const start = candle.window_start;
  widen(stream, candle.high, candle.low, candle.close);
  if (!closed) {
    // When the next window opens, the last one stays as it was until it is stored, a moment later.
    if (open && open.window_start < start && !candles.has(open.window_start)) put(stream, { ...open, provisional: true });
    stream.open = candle;
    stream.touched.add(start);
    return null;
  }
  const [oldest] = candles.keys();
  if (start < oldest) return null; // scrolling there will load it
  const before = candles.get(start);
  put(stream, candle);
  if (open?.window_start === start) stream.open = null;
  return before && !before.provisional && isCorrection(before, candle) ? candle : null;
}

function put(stream, candle) {
  const { open, newest } = stream;
  const start = candle.window_start;
  // The open candle is drawn after it, too: the chart can only put a new one at its end.
  const isInside = !stream.candles.has(start) && (newest > start || open?.window_start > start);
  stream.candles.set(start, candle);
  stream.newest = Math.max(newest, start);
  stream.touched.add(start);
  if (isInside) {
    stream.candles = new Map([...stream.candles].sort(([one], [other]) => one - other));
    stream.version += 1;
  }
}

/** Whether more than a proof has come: that nothing was missing is no news, that a hole was filled is. */
function isCorrection(before, after) {
  return ['open', 'high', 'low', 'close', 'volume', 'trade_count'].some((field) => before[field] !== after[field])
    || (before.incomplete_reason === 'hole' && after.incomplete_reason !== 'hole');
}

function widen(stream, ...prices) {
  for (const price of prices) stream.decimals = Math.max(stream.decimals, decimalsOf(price));
}

/** Puts older candles before those that the stream has. */
export function prepend(stream, older) {
  for (const candle of older) widen(stream, candle.high, candle.low);
  stream.candles = new Map([...older.map((candle) => [candle.window_start, candle]), ...stream.candles]);
  stream.version += 1;
}

/** Lets the oldest candles go, as far as there are more than `most`: scrolling there loads them again. */
export function trim(stream, most) {
  if (stream.candles.size <= most) return;
  for (const start of stream.candles.keys()) {
    stream.candles.delete(start);
    if (stream.candles.size <= most) break;
  }
  stream.exhausted = false;
  stream.version += 1;
  stream.touched.clear(); // all of it is drawn anew; what is not shown would gather them for ever
}

/** All candles in order of time, the open one last. */
export function allCandles(stream) {
  const candles = [...stream.candles.values()];
  if (stream.open && !stream.candles.has(stream.open.window_start)) candles.push(stream.open);
  return candles;
}
