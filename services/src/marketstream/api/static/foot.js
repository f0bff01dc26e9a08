// The foot of the page: the time up to which the data is proven complete, and the age of the newest trade.

import { write } from './dom.js';
import { clock } from './format.js';

const MOST_DELAY_MS = 5_000; // with more, the market is quiet or the clocks differ

/** Return the function that shows both for a stream. */
export function createFoot(proofElement, delayElement) {
  return function show({ freshness, receivedUs }, { isConnected, zone }) {
    write(proofElement, freshness ? proofOf(freshness, zone) : '');
    const delay = receivedUs === null ? -1 : Math.round(Date.now() - receivedUs / 1000);
    write(delayElement, isConnected && delay >= 0 && delay < MOST_DELAY_MS ? `Received ${delay} ms ago` : '');
  };
}

function proofOf({ complete_until: until, open_holes: holes }, zone) {
  const proven = until === null ? 'Nothing is proven complete yet' : `Proven complete until ${clock(until, zone)}`;
  return holes ? `${proven} · ${holes} open ${holes === 1 ? 'hole' : 'holes'}` : proven;
}
