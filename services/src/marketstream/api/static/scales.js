// The axes of prices and volumes.

import { compact } from './format.js';
import { allCandles } from './state.js';

const AXIS_DIGITS = 5; // minimum significant digits of a price at the axis
const FLAT_SPREAD = 0.001; // half of the axis around a price that never changes, as a fraction of it

/** Return the digits after the point at the axis: as many as the prices have, and enough to tell close prices apart. */
export function axisDecimals(stream) {
  const { decimals, price } = stream;
  const text = price?.price ?? allCandles(stream).at(-1)?.close;
  if (text === undefined) return decimals;
  const whole = text.split('.')[0].replace(/^0$/, '');
  return Math.max(decimals, whole ? AXIS_DIGITS - whole.length : 0);
}

/** Widen a range of prices that is a single price, which the library would draw on an axis far beyond it. */
export function spread(found) {
  if (!found?.priceRange) return found;
  const { minValue, maxValue } = found.priceRange;
  if (minValue !== maxValue) return found;
  return { ...found, priceRange: { minValue: minValue * (1 - FLAT_SPREAD), maxValue: maxValue * (1 + FLAT_SPREAD) } };
}

/** Return a volume of the axis, which is a float, as text. */
export function axisVolume(volume) {
  return volume >= 1000 ? compact(volume.toFixed(0)) : String(Number(volume.toPrecision(3)));
}
