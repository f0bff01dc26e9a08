// The foot of the page: the stretch of time in which the data is proven complete, and the age of the newest trade.

import { write } from './dom.js';
import { clock, day, moment } from './format.js';
import { skew } from './time.js';

const MOST_DELAY_MS = 5_000; // with more, the market is quiet

/** Return the function that shows both for a stream. */
export function createFoot(proofElement, delayElement) {
  return function show({ freshness, receivedUs }, { isConnected, zone }) {
    write(proofElement, freshness ? proofOf(freshness, zone) : '');
    write(delayElement, isConnected && receivedUs !== null ? delayOf(receivedUs) : '');
  };
}

function delayOf(receivedUs) {
  const behind = skew();
  if (behind) {
    const seconds = Math.round(Math.abs(behind) / 1000);
    return `The clock of this device is ${seconds} s ${behind > 0 ? 'behind' : 'ahead'}`;
  }
  const delay = Math.round(Date.now() - receivedUs / 1000);
  return delay >= 0 && delay < MOST_DELAY_MS ? `Received ${delay} ms ago` : '';
}

function proofOf({ complete_from: from, complete_until: until, open_holes: holes }, zone) {
  const proven = until === null ? 'Nothing is proven complete yet'
    : `Proven complete from ${begin(from, until, zone)} until ${clock(until, zone)}`;
  return holes ? `${proven} · ${holes} open ${holes === 1 ? 'hole' : 'holes'}` : proven;
}

/** Return the time of day, with the date if it is another day than that of the end. */
function begin(from, until, zone) {
  return day(from, zone) === day(until, zone) && until - from < 86_400 ? clock(from, zone) : moment(from, zone);
}
