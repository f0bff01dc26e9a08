// Candles as the chart library draws them. Only here do amounts become floats.

const MOST_BLANKS = 240; // windows of one gap that are drawn; a longer one is as plain at this width

/** The bar of a candle: solid when it is complete or still open, hollow when it is not, amber when trades are missing. */
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

/** The bar of a candle's volume. */
export function volumeOf(candle, theme) {
  const rises = Number(candle.close) >= Number(candle.open);
  const color = isMissing(candle) ? theme.warnSoft : rises ? theme.upSoft : theme.downSoft;
  return { time: candle.window_start, value: Number(candle.volume), color };
}

/** Whether trades of it are known to be missing, or it cannot be known. */
export function isMissing({ incomplete_reason: reason }) {
  return reason !== null && reason !== 'unconfirmed';
}

/** The windows after `before` and before `after` of which nothing is known: they stay blank. */
export function blanksBetween(before, after, seconds) {
  const first = Math.max(before + seconds, after - MOST_BLANKS * seconds);
  const blanks = [];
  for (let time = first; time < after; time += seconds) blanks.push({ time });
  return blanks;
}
