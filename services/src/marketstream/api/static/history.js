// What is read over HTTP: which symbols there are, and candles older than those of a snapshot.

import { prepend } from './state.js';

const PAGE = 500; // candles of one request
const AGAIN_MS = 2_000;

/** The JSON of a path; throws an Error that says what the server said. */
export async function getJson(path, query = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(query)}`);
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${(await response.json()).detail}`);
  return response.json();
}

/** Every symbol, as GET /symbols has them. */
export const fetchSymbols = () => getJson('/symbols');

/** Loads older candles into streams, one page at a time. `onLoaded()` is called when some have come. */
export function createHistory(onLoaded) {
  let loading = false;

  return async function loadOlder(stream, { exchange, symbol, interval }) {
    const [oldest] = stream.candles.keys();
    if (loading || stream.exhausted || oldest === undefined) return;
    loading = true;
    try {
      const older = await getJson('/candles', { exchange, symbol, interval, end: oldest, limit: PAGE });
      if (stream.candles.keys().next().value !== oldest) return; // a snapshot came in between
      stream.exhausted = older.length < PAGE;
      if (older.length) prepend(stream, older);
      onLoaded();
    } catch (error) {
      console.warn(`older candles cannot be loaded: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    } finally {
      loading = false;
    }
  };
}
