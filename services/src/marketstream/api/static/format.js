// Format decimal text and times for people. Amounts arrive as text and stay text, because floats would lose digits.

/** Return the number of digits after the point. */
export function decimalsOf(text) {
  const point = text.indexOf('.');
  return point < 0 ? 0 : text.length - point - 1;
}

/** Format "39491.7" as "39,491.70": with thousands separators and at least `decimals` digits after the point. */
export function amount(text, decimals = 0) {
  const [whole, fraction = ''] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const padded = fraction.padEnd(decimals, '0');
  return padded ? `${grouped}.${padded}` : grouped;
}

/** Cut a decimal text to `decimals` digits after the point, for narrow places, but never to zero. */
export function cut(text, decimals) {
  const [whole, fraction = ''] = text.split('.');
  const shown = fraction.slice(0, decimals);
  if (/[1-9]/.test(fraction) && !/[1-9]/.test(whole + shown)) return tiny(fraction);
  return amount(decimals ? `${whole}.${shown}` : whole, decimals);
}

const MOST_ZEROS = 8; // after the point; an amount with more is written as a power of ten
const TINY_DIGITS = 3;

/** Write the amount 0.`fraction` with its first digits: 0.00000012, 4.5e-11. */
function tiny(fraction) {
  const zeros = fraction.search(/[1-9]/);
  const digits = fraction.slice(zeros, zeros + TINY_DIGITS).replace(/0+$/, '');
  if (zeros < MOST_ZEROS) return `0.${'0'.repeat(zeros)}${digits}`;
  return `${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e-${zeros + 1}`;
}

/** Shorten a quantity for a narrow place: 12.3K, 4.56M. */
export function compact(text) {
  const whole = text.split('.')[0].replace('-', '');
  for (const [digits, unit] of [[9, 'B'], [6, 'M'], [3, 'K']]) {
    if (whole.length > digits) {
      const head = whole.slice(0, -digits);
      const tail = whole.slice(-digits, -digits + Math.max(0, 4 - head.length - 1));
      return tail ? `${head}.${tail}${unit}` : `${head}${unit}`;
    }
  }
  return cut(text, Math.max(0, 5 - whole.length));
}

function scaled(text, decimals) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}

/** Return the exact change between two prices: {sign: -1 | 0 | 1, absolute: "+1.25", percent: "+0.31 %"}. */
export function change(from, to) {
  const decimals = Math.max(decimalsOf(from), decimalsOf(to));
  const base = scaled(from, decimals);
  const difference = scaled(to, decimals) - base;
  const size = difference < 0n ? -difference : difference;
  const sign = difference > 0n ? 1 : difference < 0n ? -1 : 0;
  const hundredths = base ? (size * 10000n + base / 2n) / base : 0n;
  return {
    sign,
    absolute: `${signOf(sign)}${amount(unscaled(size, decimals))}`,
    percent: `${signOf(hundredths ? sign : 0)}${unscaled(hundredths, 2)} %`, // never "−0.00 %"
  };
}

function unscaled(value, decimals) {
  const digits = String(value).padStart(decimals + 1, '0');
  return decimals ? `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}` : digits;
}

/** Return "+", "−" or "", with a real minus sign, which is as wide as the plus. */
function signOf(sign) {
  return sign > 0 ? '+' : sign < 0 ? '−' : '';
}

/** Return the CSS class of a rise or a fall. */
export function tone(sign) {
  return sign > 0 ? 'up' : sign < 0 ? 'down' : '';
}

/** Return a function that formats a time by `options`. It caches the last text, as most trades in the tape share a second. */
function writer(options) {
  const kept = new Map();
  return (seconds, zone) => {
    if (!kept.has(zone)) {
      const timeZone = zone === 'utc' ? 'UTC' : undefined;
      kept.set(zone, { format: new Intl.DateTimeFormat('en-GB', { hourCycle: 'h23', timeZone, ...options }), seconds: null });
    }
    const last = kept.get(zone);
    if (last.seconds !== seconds) Object.assign(last, { seconds, text: last.format.format(seconds * 1000) });
    return last.text;
  };
}

/** 14:03:10 */
export const clock = writer({ hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** 14:03 */
export const hours = writer({ hour: '2-digit', minute: '2-digit' });

/** 23 Nov */
export const day = writer({ day: 'numeric', month: 'short' });

/** Nov */
export const month = writer({ month: 'short' });

/** 2026 */
export const year = writer({ year: 'numeric' });

/** 23 Nov 2026, 14:03:10 */
export const moment = (seconds, zone) => `${day(seconds, zone)} ${year(seconds, zone)}, ${clock(seconds, zone)}`;
