// The watchlist: every symbol with its price, its change, and a sparkline of the last hour.

import { setClass, write } from './dom.js';
import { amount, change, tone } from './format.js';
import { sparkPath, SPARK_HEIGHT, SPARK_WIDTH } from './spark.js';
import { textOf } from './status.js';

const SVG = 'http://www.w3.org/2000/svg';
const FLOWS = new Set(['live', 'simulated', 'quiet']); // states that need no word in a row

/** Create a watchlist in the list `element`. Calls `onSelect({exchange, symbol})` when the user selects a symbol. */
export function createWatchlist(element, onSelect) {
  const rows = new Map();

  function rowOf(entry) {
    const key = `${entry.exchange}:${entry.symbol}`;
    let row = rows.get(key);
    if (!row) {
      row = makeRow(entry, () => onSelect(entry));
      rows.set(key, row);
      element.append(row.item);
    }
    return row;
  }

  return {
    /** Show one symbol by its one-minute stream and its price 24 hours ago, which is null if unknown. */
    show(entry, { stream, reference, isSelected, state }) {
      const row = rowOf(entry);
      const price = stream?.price?.price ?? null;
      const { sign, percent } = price !== null && reference ? change(reference.price, price) : { sign: 0, percent: null };
      const since = reference ? (reference.isWhole ? 'In 24 hours' : reference.since) : '';
      write(row.price, price === null ? '—' : amount(price, stream.decimals));
      write(row.change, percent ?? '—');
      setClass(row.change, `num ${tone(sign)}`);
      if (row.change.title !== since) row.change.title = since;
      setAttribute(row.button, 'aria-pressed', String(isSelected));
      setAttribute(row.button, 'data-state', state);
      write(row.place, [entry.exchange, ...(FLOWS.has(state) ? [] : [textOf(state)])].join(' · '));
      const path = stream ? sparkPath(stream) : '';
      if (row.path !== path) {
        row.path = path;
        row.line.setAttribute('d', path);
        row.svg.setAttribute('class', `spark ${stream?.sparkTone ?? ''}`);
      }
    },
  };
}

function makeRow({ exchange, symbol }, onClick) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'watch';
  button.addEventListener('click', onClick);
  const name = document.createElement('span');
  name.className = 'watch-name';
  name.append(Object.assign(document.createElement('b'), { textContent: symbol }));
  const place = document.createElement('small');
  place.append(exchange);
  name.append(place);
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`);
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  svg.append(line);
  const price = Object.assign(document.createElement('span'), { className: 'num' });
  const change = Object.assign(document.createElement('span'), { className: 'num' });
  button.append(name, svg, price, change);
  item.append(button);
  return { item, button, place, price, change, svg, line, path: '' };
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
