// The line above the chart: the candle at the pointer, or the latest one.

import { setClass, write } from './dom.js';
import { label } from './axis.js';
import { isMissing } from './bars.js';
import { amount, change, compact, tone } from './format.js';

const REASONS = {
  hole: 'incomplete: trades are missing and may still be filled',
  unfillable: 'incomplete: the exchange does not have the missing trades',
  unconfirmed: 'not confirmed: the trade before or after has not been received',
  unordered_ids: 'not provable: the exchange’s trade ids have no order',
};

/** Return the reason why a candle is not complete, for people; empty for a complete candle. */
export function reasonOf(candle, isOpen) {
  if (candle.complete) return '';
  if (isOpen && !isMissing(candle)) return 'open';
  return REASONS[candle.incomplete_reason] ?? candle.incomplete_reason;
}

/** Create a legend in `element`. Returns the function that shows a candle. */
export function createLegend(element) {
  const cells = new Map();
  for (const name of ['time', 'O', 'H', 'L', 'C', 'change', 'V', 'n', 'VWAP', 'note']) {
    const cell = document.createElement('span');
    const value = document.createElement('b');
    if (name.length === 1 || name === 'VWAP') cell.append(`${name} `);
    cell.className = `legend-${name.toLowerCase()}`;
    cell.append(value);
    element.append(cell);
    cells.set(name, value);
  }
  cells.get('V').parentElement.title = 'Volume';
  cells.get('n').parentElement.title = 'Number of trades';

  function fill(name, text, className = '') {
    write(cells.get(name), text);
    setClass(cells.get(name), className);
  }

  /** Show a window about which nothing is known, so that it has no numbers. */
  function showUnknown(start, { zone, seconds }) {
    for (const name of cells.keys()) fill(name, name === 'time' ? label(start, zone, seconds) : '—');
    fill('change', '');
    fill('note', 'nothing is known about this window', 'warn');
  }

  return function show(candle, { start, isOpen, decimals, zone, seconds }) {
    element.hidden = !candle && start === null;
    if (element.hidden) return;
    if (!candle) {
      showUnknown(start, { zone, seconds });
      return;
    }
    const { sign, absolute, percent } = change(candle.open, candle.close);
    fill('time', label(candle.window_start, zone, seconds));
    for (const [name, price] of [['O', candle.open], ['H', candle.high], ['L', candle.low], ['C', candle.close]]) {
      fill(name, amount(price, decimals), tone(sign));
    }
    fill('change', `${absolute} (${percent})`, tone(sign));
    fill('V', compact(candle.volume));
    fill('n', amount(String(candle.trade_count)));
    fill('VWAP', candle.vwap === null ? '—' : amount(candle.vwap));
    const revised = candle.revision > 0 && !isOpen ? ` · revision ${candle.revision}` : '';
    fill('note', reasonOf(candle, isOpen) || `complete${revised}`, isMissing(candle) ? 'warn' : '');
  };
}
