// The closing prices of an hour as a sparkline.

export const SPARK_WIDTH = 56;
export const SPARK_HEIGHT = 22;
const MINUTES = 60;

/** Return the path of the line, broken where candles are missing. Sets `sparkTone` of the stream to 'up' or 'down'. */
export function sparkPath(stream) {
  const end = stream.open?.window_start ?? stream.newest;
  if (end === null) return '';
  const begin = end - (MINUTES - 1) * 60;
  const points = [];
  for (let start = begin; start <= end; start += 60) { // not all candles of the stream, which may be thousands
    const candle = stream.candles.get(start);
    if (candle) points.push([start, Number(candle.close)]);
  }
  if (stream.open) points.push([stream.open.window_start, Number(stream.open.close)]);
  if (points.length < 2) return '';
  const closes = points.map(([, close]) => close);
  const low = Math.min(...closes);
  const span = Math.max(...closes) - low || 1;
  // A young market uses the whole width for the part of the hour that it has.
  const first = points[0][0];
  const length = end - first || 1;
  stream.sparkTone = closes.at(-1) >= closes[0] ? 'up' : 'down';
  let before = null;
  return points.map(([time, close]) => {
    const x = 1 + ((time - first) / length) * (SPARK_WIDTH - 2);
    const y = 2 + (1 - (close - low) / span) * (SPARK_HEIGHT - 4);
    const pen = before !== null && time - before <= 60 ? 'L' : 'M';
    before = time;
    return `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join('');
}
