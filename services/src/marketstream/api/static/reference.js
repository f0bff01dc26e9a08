// Where the change of a day is counted from: the oldest price within 24 hours that is known.

import { day, hours } from './format.js';
import { getJson } from './history.js';
import { allCandles } from './state.js';

const DAY_S = 86_400;
const AGAIN_MS = 300_000;

/** The references of all symbols. */
export function createReferences() {
  const known = new Map();
  const keyOf = ({ exchange, symbol }) => `${exchange}:${symbol}`;

  async function follow(entry) {
    try {
      const start = Math.floor(Date.now() / 1000) - DAY_S;
      const query = { exchange: entry.exchange, symbol: entry.symbol, interval: '1h', start, limit: 24 };
      const [first] = await getJson('/candles', query);
      if (first) known.set(keyOf(entry), first);
    } catch (error) {
      console.warn(`the price of a day ago cannot be read: ${error.message}`);
    }
    setTimeout(follow, AGAIN_MS, entry);
  }

  return {
    /** Reads the reference of a symbol, now and again. */
    follow,
    /** {price, since} of a symbol, or null; a market younger than an hour has it from its `minutes`. */
    of(entry, minutes, zone) {
      const first = known.get(keyOf(entry)) ?? (minutes && allCandles(minutes)[0]);
      if (!first) return null;
      const start = first.window_start;
      return { price: first.open, since: `Since ${day(start, zone)}, ${hours(start, zone)}` };
    },
  };
}
