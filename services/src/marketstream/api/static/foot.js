// The foot of the page: up to when all is proven, and how old the newest trade is.

import { write } from './dom.js';
import { clock } from './format.js';

const MOST_DELAY_MS = 5_000; // beyond it the market is merely quiet, or the clocks differ

/** Gives the function that shows both of a stream. */
export function createFoot(proofElement, delayElement) {
  return function show({ freshness, receivedUs }, { isConnected, zone }) {
    write(proofElement, freshness ? proofOf(freshness, zone) : '');
    const delay = receivedUs === null ? -1 : Math.round(Date.now() - receivedUs / 1000);
    write(delayElement, isConnected && delay >= 0 && delay < MOST_DELAY_MS ? `Heard ${delay} ms ago` : '');
  };
}

function proofOf({ complete_until: until, open_holes: holes }, zone) {
  const proven = until === null ? 'Nothing proven complete yet' : `Proven complete until ${clock(until, zone)}`;
  return holes ? `${proven} · ${holes} ${holes === 1 ? 'hole' : 'holes'} open` : proven;
}
