// The state of a stream, built from its messages.

import { decimalsOf } from './format.js';

/** Return a stream before its first snapshot. */
export function emptyStream() {
  return {
    candles: new Map(), // closed candles by window_start, in order of time
    newest: null, // window_start of the newest closed candle
    open: null,
    price: null,
    trades: [],
    freshness: null,
    receivedUs: null,
    decimals: 0, // maximum digits after the point of its prices so far
    version: 0, // increases when all candles must be redrawn
    touched: new Set(), // window_start of the candles that have changed since they were drawn
    exhausted: false, // true if there are no older candles
  };
}

const TRADES_KEPT = 60;

/** Apply a message to the stream. Returns the corrected candle if the message is a correction, otherwise null. */
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
      throw new Error(`unknown message type: ${JSON.stringify(message.type)}`);
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
    // When the next window opens, keep the last open candle until it is stored, a moment later.
    if (open && open.window_start < start && !candles.has(open.window_start)) put(stream, { ...open, provisional: true });
    stream.open = candle;
    stream.touched.add(start);
    return null;
  }
  const [oldest] = candles.keys();
  if (start < oldest) return null; // it is loaded when the user scrolls there
  const before = candles.get(start);
  put(stream, candle);
  if (open?.window_start === start) stream.open = null;
  return before && !before.provisional && isCorrection(before, candle) ? candle : null;
}

function put(stream, candle) {
  const { open, newest } = stream;
  const start = candle.window_start;
  // The open candle counts as well: the chart can add a new candle only at its end.
  const isInside = !stream.candles.has(start) && (newest > start || open?.window_start > start);
  stream.candles.set(start, candle);
  stream.newest = Math.max(newest, start);
  stream.touched.add(start);
  if (isInside) {
    stream.candles = new Map([...stream.candles].sort(([one], [other]) => one - other));
    stream.version += 1;
  }
}

/** Return true if the content has changed or a hole was filled. A proof of completeness alone is no correction. */
function isCorrection(before, after) {
  return ['open', 'high', 'low', 'close', 'volume', 'trade_count'].some((field) => before[field] !== after[field])
    || (before.incomplete_reason === 'hole' && after.incomplete_reason !== 'hole');
}

function widen(stream, ...prices) {
  for (const price of prices) stream.decimals = Math.max(stream.decimals, decimalsOf(price));
}

/** Add older candles in front of those of the stream. */
export function prepend(stream, older) {
  for (const candle of older) widen(stream, candle.high, candle.low);
  stream.candles = new Map([...older.map((candle) => [candle.window_start, candle]), ...stream.candles]);
  stream.version += 1;
}

/** Remove the oldest candles beyond `most`. They are loaded again when the user scrolls there. */
export function trim(stream, most) {
  if (stream.candles.size <= most) return;
  for (const start of stream.candles.keys()) {
    stream.candles.delete(start);
    if (stream.candles.size <= most) break;
  }
  stream.exhausted = false;
  stream.version += 1;
  stream.touched.clear(); // all is redrawn; a stream that is not shown would collect them forever
}

/** Return all candles in order of time, the open one last. */
export function allCandles(stream) {
  const candles = [...stream.candles.values()];
  if (stream.open && !stream.candles.has(stream.open.window_start)) candles.push(stream.open);
  return candles;
}
