// Data read over HTTP: the list of symbols, and candles older than those of a snapshot.

import { prepend } from './state.js';
import { readClock } from './time.js';

const PAGE = 500; // candles per request
const AGAIN_MS = 2_000;

/** Return the JSON of a path, relative to the page. Throws an Error with the detail of the server's problem. */
export async function getJson(path, query = {}) {
  const askedMs = Date.now();
  const response = await fetch(`.${path}?${new URLSearchParams(query)}`);
  readClock(response, askedMs);
  if (!response.ok) throw new Error(`${path} returned ${response.status}: ${(await response.json()).detail}`);
  return response.json();
}

/** Return all symbols of GET /symbols. */
export const fetchSymbols = () => getJson('/symbols');

/** Return the function that loads older candles into a stream, one page at a time, and then calls `onLoaded()`. */
export function createHistory(onLoaded) {
  let loading = false;

  return async function loadOlder(stream, { exchange, symbol, interval }) {
    const [oldest] = stream.candles.keys();
    if (loading || stream.exhausted || oldest === undefined) return;
    loading = true;
    try {
      const older = await getJson('/candles', { exchange, symbol, interval, end: oldest, limit: PAGE });
      if (stream.candles.keys().next().value !== oldest) return; // a snapshot has arrived meanwhile
      stream.exhausted = older.length < PAGE;
      if (older.length) prepend(stream, older);
      onLoaded();
    } catch (error) {
      console.warn(`cannot load older candles: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    } finally {
      loading = false;
    }
  };
}
