// The newest trades, with the newest on top.

import { setClass, write } from './dom.js';
import { amount, clock, cut, decimalsOf } from './format.js';

const ROWS = 40;

/** Create a tape in the table body `element`. Returns the function that shows trades. */
export function createTape(element) {
  const rows = Array.from({ length: ROWS }, () => {
    const row = document.createElement('tr');
    row.append(...Array.from({ length: 3 }, () => document.createElement('td')));
    row.hidden = true;
    element.append(row);
    return row;
  });
  let newest = null;

  return function show(trades, { decimals, zone }) {
    const last = trades.at(-1);
    const state = last ? `${last[0]}:${zone}:${decimals}:${trades.length}` : '';
    if (state === newest) return;
    newest = state;
    const digits = Math.min(8, Math.max(0, ...trades.slice(-ROWS).map(([, , , quantity]) => decimalsOf(quantity))));
    rows.forEach((row, index) => {
      const trade = trades[trades.length - 1 - index];
      if (row.hidden === Boolean(trade)) row.hidden = !trade;
      if (!trade) return;
      const [, timeUs, price, quantity, takerBuy] = trade;
      setClass(row, takerBuy ? 'up' : 'down');
      write(row.cells[0], amount(price, decimals));
      write(row.cells[1], cut(quantity, digits));
      write(row.cells[2], clock(Math.floor(timeUs / 1e6), zone));
    });
  };
}
