// Reference prices for the change in 24 hours: the oldest known price of that time, and since when it is known.

import { day, hours } from './format.js';
import { getJson } from './history.js';
import { allCandles } from './state.js';

const DAY_S = 86_400;
const HOUR_S = 3600;
const AGAIN_MS = 300_000;

/** Return the first known minute of an hour: the account may begin in the middle of the hour. */
async function firstMinute(query, hour) {
  const start = hour.window_start;
  const [first] = await getJson('/candles', { ...query, interval: '1m', start, end: start + HOUR_S, limit: 60 });
  return first ?? hour;
}

/** Create the references of all symbols. */
export function createReferences() {
  const known = new Map();
  const keyOf = ({ exchange, symbol }) => `${exchange}:${symbol}`;

  async function follow(entry) {
    try {
      const start = Math.floor(Date.now() / 1000) - DAY_S;
      const query = { exchange: entry.exchange, symbol: entry.symbol, interval: '1h', start, limit: 24 };
      const [first] = await getJson('/candles', query);
      if (first) known.set(keyOf(entry), first.complete ? first : await firstMinute(query, first));
    } catch (error) {
      console.warn(`cannot load the price of a day ago: ${error.message}`);
    }
    setTimeout(follow, AGAIN_MS, entry);
  }

  return {
    /** Load the reference of a symbol, now and then periodically. */
    follow,
    /**
     * Return {price, since, isWhole} of a symbol, or null; `isWhole` is true if a whole day is known. For a market younger
     * than an hour, it comes from its `minutes`.
     */
    of(entry, minutes, zone) {
      const first = known.get(keyOf(entry)) ?? (minutes && allCandles(minutes)[0]);
      if (!first) return null;
      const start = first.window_start;
      const isWhole = Date.now() / 1000 - start > DAY_S - 2 * HOUR_S;
      return { price: first.open, isWhole, since: `since ${day(start, zone)}, ${hours(start, zone)}` };
    },
  };
}
