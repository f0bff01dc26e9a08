// The time axis in any time zone: the library weighs its ticks by UTC, where a day begins at another moment.

import { clock, day, hours, moment, month, year } from './format.js';

const DAY_S = 86_400;

// Weights of the library, from a step of the axis to the next longer one. A heavier tick is drawn first.
const WEIGHTS = [[12 * 3600, 33], [6 * 3600, 32], [3 * 3600, 31], [3600, 30], [1800, 22], [300, 21], [60, 20], [1, 10]];
const [YEAR, MONTH, DAY] = [70, 60, 50];

/**
 * Return the behaviour of a time axis whose ticks follow the zone `zoneOf()`, "utc" or "local". `secondsOf()` is the
 * length of a candle: candles of a day are days in UTC whatever the zone.
 */
export function createBehavior(library, zoneOf, secondsOf) {
  const Behavior = library.defaultHorzScaleBehavior();
  class ZonedBehavior extends Behavior {
    fillWeightsForPoints(points, first) {
      super.fillWeightsForPoints(points, first);
      if (zoneOf() === 'utc' || secondsOf() >= DAY_S) return;
      for (let index = Math.max(1, first); index < points.length; index += 1) {
        points[index].timeWeight = weight(points[index - 1].originalTime, points[index].originalTime);
      }
    }
  }
  return new ZonedBehavior();
}

/** Return the weight of a tick at `time` after a point at `before` (Unix seconds), by the clock of the viewer. */
export function weight(before, time) {
  const [one, other] = [new Date(before * 1000), new Date(time * 1000)];
  if (one.getFullYear() !== other.getFullYear()) return YEAR;
  if (one.getMonth() !== other.getMonth()) return MONTH;
  if (one.getDate() !== other.getDate()) return DAY;
  const [past, now] = [secondsOfDay(one), secondsOfDay(other)];
  return WEIGHTS.find(([seconds]) => Math.floor(past / seconds) !== Math.floor(now / seconds))?.[1] ?? 0;
}

function secondsOfDay(date) {
  return date.getHours() * 3600 + date.getMinutes() * 60 + date.getSeconds();
}

/** Return the text of a tick of the library's `kind`: 0 a year, 1 a month, 2 a day, 3 a minute, 4 a second. */
export function tick(time, kind, zone, seconds) {
  const write = [year, month, day, hours, clock][kind];
  return write(time, seconds < DAY_S ? zone : 'utc');
}

/** Return the name of a candle: its beginning, or its day in UTC if it lasts a day. */
export function label(time, zone, seconds) {
  return seconds < DAY_S ? moment(time, zone) : `${day(time, 'utc')} ${year(time, 'utc')}${zone === 'utc' ? '' : ' (UTC)'}`;
}
