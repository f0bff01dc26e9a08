// The chart: candles, volumes below them, and a time axis in UTC or local time.

import { barOf, blanksBetween, volumeOf } from './bars.js';
import { amount, clock, day, hours, moment, month, year } from './format.js';
import { allCandles } from './state.js';

const DAY_S = 86_400;
const FLASH_MS = 900;
const NEAR_EDGE = 40; // bars left of the view; with fewer, older candles are loaded
const FIRST_VIEW = 120; // bars in view at first, if the width allows
const BAR_PX = 9;
const RIGHT_BARS = 4; // blank bars after the latest one

/**
 * Draw into `container`. Calls `onPoint(window_start | null)` when the pointer moves to another candle, `onEdge()` when
 * the view comes near the oldest candle, and `onScroll(isLatest)` when it moves, with true if the latest candle is in view.
 */
export function createView(container, library, theme, { onPoint, onEdge, onScroll }) {
  let zone = 'utc';
  let shown = null; // {stream, seconds}
  let version = -1;
  let lastTime = null;
  let count = 0; // number of bars, blank ones included
  let decimals = null;
  const flashing = new Set();

  const chart = library.createChart(container, options(theme, () => zone, () => shown?.seconds ?? 60));
  const candles = chart.addSeries(library.CandlestickSeries, {
    upColor: theme.up, downColor: theme.down, wickUpColor: theme.up, wickDownColor: theme.down,
    borderVisible: true, borderUpColor: theme.up, borderDownColor: theme.down, priceLineColor: theme.muted,
  });
  const volumes = chart.addSeries(library.HistogramSeries, {
    priceFormat: { type: 'volume' }, priceLineVisible: false, lastValueVisible: false,
  }, 1);
  chart.panes()[0].setStretchFactor(4);
  chart.panes()[1].setStretchFactor(1);
  const scale = chart.timeScale();
  const isLatest = () => scale.scrollPosition() > -1;

  chart.subscribeCrosshairMove(({ time, point }) => onPoint(point && time !== undefined ? time : null));
  scale.subscribeVisibleLogicalRangeChange((range) => {
    if (!range || lastTime === null) return;
    if (range.from < NEAR_EDGE) onEdge();
    onScroll(isLatest());
  });

  function bar(candle) {
    const isOpen = candle === shown.stream.open;
    return barOf(candle, theme, { isOpen, isFlashing: flashing.has(candle.window_start) });
  }

  function redraw() {
    const bars = [];
    const columns = [];
    let before = null;
    for (const candle of allCandles(shown.stream)) {
      if (before !== null) {
        const blanks = blanksBetween(before, candle.window_start, shown.seconds);
        bars.push(...blanks);
        columns.push(...blanks);
      }
      bars.push(bar(candle));
      columns.push(volumeOf(candle, theme));
      before = candle.window_start;
    }
    const range = scale.getVisibleLogicalRange();
    const anchor = bars.findLastIndex(({ time }) => time === lastTime);
    const added = anchor - (count - 1); // new bars on the left
    candles.setData(bars);
    volumes.setData(columns);
    [lastTime, count] = [before, bars.length];
    if (lastTime === null) return;
    if (range && anchor >= 0) scale.setVisibleLogicalRange({ from: range.from + added, to: range.to + added });
    else toLatest();
  }

  function amend(start) {
    const { stream, seconds } = shown;
    const candle = stream.candles.get(start) ?? (stream.open?.window_start === start ? stream.open : null);
    if (!candle) return;
    if (start > lastTime) {
      for (const blank of blanksBetween(lastTime, start, seconds)) {
        candles.update(blank);
        volumes.update(blank);
        count += 1;
      }
      lastTime = start;
      count += 1;
    }
    candles.update(bar(candle), start < lastTime);
    volumes.update(volumeOf(candle, theme), start < lastTime);
  }

  /** Draw these candles, or all if the library refuses one of them. */
  function amendAll(starts) {
    try {
      starts.forEach(amend);
    } catch (error) {
      console.warn(`redrawing the chart: ${error.message}`);
      redraw();
    }
  }

  function toLatest() {
    const width = Math.min(FIRST_VIEW, Math.round(scale.width() / BAR_PX));
    scale.setVisibleLogicalRange({ from: count - 1 - width, to: count - 1 + RIGHT_BARS });
  }

  const axisPrice = (price) => amount(price.toFixed(decimals), decimals);

  function draw() {
    if (!shown) return;
    const { stream } = shown;
    if (stream.decimals !== decimals) {
      decimals = stream.decimals;
      candles.applyOptions({ priceFormat: { type: 'custom', minMove: 10 ** -decimals, formatter: axisPrice } });
    }
    const touched = [...stream.touched].sort((one, other) => one - other);
    stream.touched.clear(); // before drawing: a candle that fails must not fail again in every later draw
    if (stream.version !== version || lastTime === null) {
      version = stream.version;
      redraw();
    } else {
      amendAll(touched);
    }
  }

  return {
    /** Show this stream from now on. */
    show(stream, seconds) {
      shown = { stream, seconds };
      version = -1;
      [lastTime, count] = [null, 0];
      flashing.clear();
      scale.applyOptions({ secondsVisible: seconds < 60 });
      draw();
    },
    draw,
    /** Flash a candle once. */
    flash(start) {
      flashing.add(start);
      shown.stream.touched.add(start);
      const { stream } = shown;
      setTimeout(() => {
        flashing.delete(start);
        stream.touched.add(start);
        draw();
      }, FLASH_MS);
    },
    zone(name) {
      zone = name;
      scale.applyOptions({ timeVisible: true }); // rewrites the ticks
    },
    toLatest,
    /** Return true if the latest candle is in view. */
    isLatest,
    scroll(bars) {
      scale.scrollToPosition(scale.scrollPosition() + bars, false);
    },
    page() {
      const range = scale.getVisibleLogicalRange();
      return range ? Math.round((range.to - range.from) * 0.8) : 0;
    },
    zoom(factor) {
      const range = scale.getVisibleLogicalRange();
      if (range) scale.setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
    },
    /** Return the drawn bars, for tests. */
    drawn: () => candles.data().map((point) => ({ ...point })),
    /** Return the position of a candle on the screen, for tests. */
    place(start) {
      const x = scale.timeToCoordinate(start);
      const point = candles.data().find(({ time }) => time === start);
      return x === null || !point || point.close === undefined ? null : { x, y: candles.priceToCoordinate(point.close) };
    },
  };
}

function options(theme, zoneOf, secondsOf) {
  return {
    autoSize: true,
    layout: {
      background: { color: theme.ground }, textColor: theme.muted, fontSize: 11, fontFamily: theme.font,
      panes: { separatorColor: theme.line, separatorHoverColor: theme.line },
      attributionLogo: false, // its inline style is blocked by the page's policy, so the footer has the link
    },
    grid: { vertLines: { color: theme.grid }, horzLines: { color: theme.grid } },
    rightPriceScale: { borderColor: theme.line, minimumWidth: 72 },
    timeScale: {
      borderColor: theme.line, timeVisible: true, rightOffset: RIGHT_BARS, minBarSpacing: 1,
      tickMarkFormatter: (time, kind) => tick(time, kind, zoneOf(), secondsOf()),
    },
    crosshair: {
      mode: 0, // free: does not snap to the closing price
      vertLine: { color: theme.muted, labelBackgroundColor: theme.raised },
      horzLine: { color: theme.muted, labelBackgroundColor: theme.raised },
    },
    localization: {
      timeFormatter: (time) => label(time, zoneOf(), secondsOf()),
    },
  };
}

/**
 * Return the text of a tick. The library places ticks by UTC, and `kind` refers to UTC as well. So the date is written at
 * the first candle of a day in the chosen zone, which does not begin at midnight in every zone. Daily candles are UTC days.
 */
export function tick(time, kind, zone, seconds) {
  const write = [year, month, day][kind] ?? day;
  if (seconds >= DAY_S) return write(time, 'utc');
  if (day(time, zone) !== day(time - seconds, zone)) return write(time, zone);
  return kind === 4 ? clock(time, zone) : hours(time, zone);
}

/** Return the text of the time at the pointer. */
export function label(time, zone, seconds) {
  return seconds < DAY_S ? moment(time, zone) : `${day(time, 'utc')} ${year(time, 'utc')}`;
}
