// Convert candles to bars of the chart library. Only this module and spark.js convert amounts to floats.

const MOST_BLANKS = 240; // maximum blank windows in a row: more would look the same at this width

/** Return the bar of a candle: solid if it is complete or open, hollow if it is incomplete, amber if trades are missing. */
export function barOf(candle, theme, { isOpen = false, isFlashing = false } = {}) {
  const rises = Number(candle.close) >= Number(candle.open);
  const line = isFlashing ? theme.flash : isMissing(candle) ? theme.warn : rises ? theme.up : theme.down;
  const isHollow = !candle.complete && (!isOpen || isMissing(candle)) && !isFlashing;
  return {
    time: candle.window_start,
    open: Number(candle.open),
    high: Number(candle.high),
    low: Number(candle.low),
    close: Number(candle.close),
    color: isHollow ? theme.ground : line,
    borderColor: line,
    wickColor: line,
  };
}

/** Return the bar of a candle's volume. */
export function volumeOf(candle, theme) {
  const rises = Number(candle.close) >= Number(candle.open);
  const color = isMissing(candle) ? theme.warnSoft : rises ? theme.upSoft : theme.downSoft;
  return { time: candle.window_start, value: Number(candle.volume), color };
}

/** Return true if trades of the candle are missing, or if its completeness cannot be proven at all. */
export function isMissing({ incomplete_reason: reason }) {
  return reason !== null && reason !== 'unconfirmed';
}

/** Return blank bars for the windows between `before` and `after`, about which nothing is known. */
export function blanksBetween(before, after, seconds) {
  const first = Math.max(before + seconds, after - MOST_BLANKS * seconds);
  const blanks = [];
  for (let time = first; time < after; time += seconds) blanks.push({ time });
  return blanks;
}
