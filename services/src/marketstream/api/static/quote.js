// The price of the selected symbol at the top of the page.

import { setClass, write } from './dom.js';
import { amount, change, tone } from './format.js';

/** Return the function that shows the price of a stream and its change since a reference, which is a day ago or later. */
export function createQuote(priceElement, changeElement, sinceElement) {
  return function show({ price, decimals, trades }, reference) {
    const side = trades.at(-1)?.[4];
    write(priceElement, price ? amount(price.price, decimals) : '—');
    setClass(priceElement, `price num ${side === undefined ? '' : tone(side ? 1 : -1)}`);
    const moved = price && reference ? change(reference.price, price.price) : null;
    write(changeElement, moved ? moved.percent : '');
    setClass(changeElement, `change num ${moved ? tone(moved.sign) : ''}`);
    write(sinceElement, moved ? (reference.isWhole ? '24 h' : reference.since) : '');
  };
}
