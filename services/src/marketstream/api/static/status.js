// The badges: the state of the data in words and colour.

import { setClass, write } from './dom.js';

const TEXTS = {
  live: 'Live',
  simulated: 'Live',
  quiet: 'Quiet',
  stale: 'Stale',
  backfilling: 'Backfilling',
  unlisted: 'Not listed',
  unreachable: 'Exchange unreachable',
  disconnected: 'Disconnected',
};

const TITLES = {
  live: 'Trades are arriving',
  simulated: 'Simulated trades are arriving',
  quiet: 'The feed works, but there was no trade for ten seconds',
  stale: 'No data has been received for this symbol for too long',
  backfilling: 'Missing trades are being fetched',
  unlisted: 'The exchange does not list this symbol',
  unreachable: 'The feed of this symbol has no connection to the exchange',
};

/** Return the state to show: that of a lost connection, otherwise that of the symbol. */
export function stateOf(connection, freshness) {
  if (!connection.connected) return connection.retryAt ? 'disconnected' : 'connecting';
  return freshness?.state ?? 'connecting';
}

/** Return the word for a state. */
export const textOf = (state) => TEXTS[state] ?? 'Connecting';

/** Create the badges in `element`. Returns the function that shows them. */
export function createStatus(element) {
  const live = document.createElement('span');
  const simulated = Object.assign(document.createElement('span'), {
    className: 'badge badge-simulated', textContent: 'Simulated', title: 'Not a real market: the trades are generated',
  });
  element.append(simulated, live);

  return function show({ connection, freshness, exchange }) {
    const state = stateOf(connection, freshness);
    simulated.hidden = exchange !== 'simulator';
    write(live, textOf(state));
    setClass(live, `badge badge-${state}`);
    const title = freshness?.detail ?? TITLES[state] ?? (connection.connected ? '' : 'Reconnecting automatically');
    if (live.title !== title) live.title = title;
  };
}
