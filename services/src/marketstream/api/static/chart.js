// The chart: candles, volumes below them, and a time axis in UTC or local time.

import { createBehavior, label, tick } from './axis.js';
import { barOf, blanksBetween, volumeOf } from './bars.js';
import { amount } from './format.js';
import { axisDecimals, axisVolume, spread } from './scales.js';
import { allCandles } from './state.js';

const FLASH_MS = 900;
const NEAR_EDGE = 40; // bars left of the view; with fewer, older candles are loaded
const FIRST_VIEW = 120; // bars in view at first, if the width allows
const MOST_BARS = 1_000; // maximum bars in view that a change of the interval keeps
const BAR_PX = 9;
const RIGHT_BARS = 4; // blank bars after the latest one

/**
 * Draw into `container`. Calls `onPoint(window_start | null)` when the crosshair moves to another candle, `onEdge()` when
 * the view comes near the oldest candle, and `onScroll(isLatest)` when it moves, with true if the latest candle is in view.
 */
export function createView(container, library, theme, { onPoint, onEdge, onScroll }) {
  let zone = 'utc';
  let shown = null; // {stream, seconds}
  let version = -1;
  let lastTime = null;
  let count = 0; // number of bars, blank ones included
  let decimals = null;
  let bars = FIRST_VIEW; // bars in view, as the user zoomed
  let middle = null; // Unix seconds: the middle of the view to return to when the candles around it are loaded
  let pointed = null; // the candle that the keyboard points at
  const flashing = new Set();

  const zoneOf = () => zone;
  const secondsOf = () => shown?.seconds ?? 60;
  const behavior = createBehavior(library, zoneOf, secondsOf);
  const chart = library.createChartEx(container, behavior, options(theme, zoneOf, secondsOf));
  const candles = chart.addSeries(library.CandlestickSeries, {
    upColor: theme.up, downColor: theme.down, wickUpColor: theme.up, wickDownColor: theme.down,
    borderVisible: true, borderUpColor: theme.up, borderDownColor: theme.down, priceLineColor: theme.muted,
    autoscaleInfoProvider: (original) => spread(original()),
  });
  const volumes = chart.addSeries(library.HistogramSeries, {
    // The library's own format of volumes writes 0.0002 as 0.
    priceFormat: { type: 'custom', minMove: 1e-8, formatter: axisVolume }, priceLineVisible: false, lastValueVisible: false,
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
    const points = [];
    const columns = [];
    let before = null;
    for (const candle of allCandles(shown.stream)) {
      if (before !== null) {
        const blanks = blanksBetween(before, candle.window_start, shown.seconds);
        points.push(...blanks);
        columns.push(...blanks);
      }
      points.push(bar(candle));
      columns.push(volumeOf(candle, theme));
      before = candle.window_start;
    }
    const range = scale.getVisibleLogicalRange();
    const wasLatest = isLatest();
    const anchor = points.findLastIndex(({ time }) => time === lastTime);
    // New bars: all of them if the latest one was in view and shall stay there, otherwise those on the left.
    const added = wasLatest ? points.length - count : anchor - (count - 1);
    candles.setData(points);
    volumes.setData(columns);
    [lastTime, count] = [before, points.length];
    if (lastTime === null) return;
    scale.applyOptions({ fixLeftEdge: shown.stream.exhausted && count > bars }); // nothing is to be seen beyond it
    if (middle !== null) toMiddle(points);
    else if (range && anchor >= 0) scale.setVisibleLogicalRange({ from: range.from + added, to: range.to + added });
    else toLatest();
  }

  /** Show the middle of the view before the last change of the interval, or as much of the way as is loaded. */
  function toMiddle(points) {
    const index = points.findIndex(({ time }) => time + shown.seconds > middle);
    scale.setVisibleLogicalRange({ from: index - bars / 2, to: index + bars / 2 });
    if (index > bars / 2 || shown.stream.exhausted) middle = null;
  }

  /** Note what is in view, to show the same after a change of the interval. */
  function keepView() {
    const range = scale.getVisibleLogicalRange();
    if (!range || lastTime === null) return;
    bars = Math.min(range.to - range.from, MOST_BARS);
    if (middle === null) middle = isLatest() ? null : scale.coordinateToTime(scale.width() / 2);
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
    middle = null;
    const width = bars === FIRST_VIEW ? Math.min(FIRST_VIEW, Math.round(scale.width() / BAR_PX)) : bars - RIGHT_BARS;
    scale.setVisibleLogicalRange({ from: count - 1 - width, to: count - 1 + RIGHT_BARS });
  }

  const axisPrice = (price) => amount(price.toFixed(decimals), decimals);

  function draw() {
    if (!shown) return;
    const { stream } = shown;
    if (axisDecimals(stream) !== decimals) {
      decimals = axisDecimals(stream);
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
    /** Show this stream from now on, at the same zoom and time as the one before. */
    show(stream, seconds) {
      keepView();
      shown = { stream, seconds };
      version = -1;
      [lastTime, count] = [null, 0];
      flashing.clear();
      scale.applyOptions({ secondsVisible: seconds < 60 });
      pointed = null;
      for (const series of [candles, volumes]) series.priceScale().applyOptions({ autoScale: true });
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
      if (shown) version = -1; // the ticks are weighed when the data is set
      draw();
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
    /** Move the crosshair by `step` candles, from the latest one in view if it is nowhere. */
    point(step) {
      const points = candles.data();
      const range = scale.getVisibleLogicalRange();
      if (!points.length || !range) return;
      const from = points.findIndex(({ time }) => time === pointed);
      const last = Math.min(points.length - 1, Math.floor(range.to));
      const index = Math.min(points.length - 1, Math.max(0, from < 0 ? last : from + step));
      const { time, close } = points[index];
      pointed = time;
      container.dataset.crosshair = '';
      if (index < range.from || index > range.to) scale.scrollToPosition(index - (points.length - 1), false);
      chart.setCrosshairPosition(close ?? points.findLast((each) => each.close !== undefined)?.close ?? 0, time, candles);
      onPoint(time);
    },
    /** Take the crosshair away that the keyboard has set. */
    unpoint() {
      if (pointed === null) return;
      pointed = null;
      delete container.dataset.crosshair;
      chart.clearCrosshairPosition();
      onPoint(null);
    },
    /** Return the drawn bars, for tests. */
    drawn: () => candles.data().map((point) => ({ ...point })),
    /** Return the time in the middle of the view, for tests. */
    middle: () => scale.coordinateToTime(scale.width() / 2),
    /** Return the lowest and highest price at the axis, for tests. */
    prices() {
      const { from, to } = candles.priceScale().getVisibleRange();
      return [from, to];
    },
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
    handleScroll: { vertTouchDrag: false }, // a finger that moves up or down scrolls the page
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
