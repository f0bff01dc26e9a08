// The badges: whether what is shown is live, in words as well as colour.

import { setClass, write } from './dom.js';

const TEXTS = {
  live: 'Live',
  simulated: 'Live',
  quiet: 'Quiet',
  stale: 'Stale',
  backfilling: 'Backfilling',
  unlisted: 'Not listed',
  disconnected: 'Disconnected',
};

const TITLES = {
  live: 'Trades arrive',
  simulated: 'Simulated trades arrive',
  quiet: 'The feed lives; no trade for ten seconds',
  stale: 'Nothing has been heard of this symbol for too long',
  backfilling: 'Missing trades are being fetched',
  unlisted: 'The exchange does not list this symbol',
};

/** The state to show: that of the connection first, then that of the symbol. */
export function stateOf(connection, freshness) {
  if (!connection.connected) return connection.retryAt ? 'disconnected' : 'connecting';
  return freshness?.state ?? 'connecting';
}

/** Badges in `element`, which gives the function that shows them. */
export function createStatus(element) {
  const live = document.createElement('span');
  const simulated = Object.assign(document.createElement('span'), {
    className: 'badge badge-simulated', textContent: 'Simulated', title: 'No real market: the trades are made up',
  });
  element.append(simulated, live);

  return function show({ connection, freshness, exchange }) {
    const state = stateOf(connection, freshness);
    simulated.hidden = exchange !== 'simulator';
    const text = TEXTS[state] ?? 'Connecting';
    write(live, text);
    setClass(live, `badge badge-${state}`);
    const title = freshness?.detail ?? TITLES[state] ?? (connection.connected ? '' : 'Trying again by itself');
    if (live.title !== title) live.title = title;
  };
}
