// The page: messages change the state, and animation frames show it.

import { createView } from './chart.js';
import { createFoot } from './foot.js';
import { amount, hours } from './format.js';
import { createFrames } from './frames.js';
import { createHistory, fetchSymbols } from './history.js';
import { createIntervals, intervalOf, isInterval } from './intervals.js';
import { listen } from './keyboard.js';
import { createLegend } from './legend.js';
import { createQuote } from './quote.js';
import { createReferences } from './reference.js';
import { connect, keyOf } from './socket.js';
import { allCandles, apply, emptyStream, trim } from './state.js';
import { createStatus, stateOf } from './status.js';
import { createTape } from './tape.js';
import { readTheme } from './theme.js';
import { createWatchlist } from './watchlist.js';

const LIBRARY = './node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs';
const WATCHED = { interval: '1m', limit: 60 };
const MOST_WATCHED = 40; // maximum symbols of the watchlist that are followed live
const WATCHED_KEPT = 64; // candles of a stream of the watchlist: those of its sparkline
const MOST_KEPT = 5_000; // candles of the selected stream: more than the widest screen shows
const TRIM_AT = 5_500; // candles at which they are cut to that number, as the chart must be redrawn for it
const SYMBOLS_MS = 15_000;
const TITLE_MS = 1_000;

const byId = (id) => document.getElementById(id);

function notice(text) {
  byId('notice').hidden = !text;
  byId('notice').textContent = text;
}

function hint(text) {
  byId('hint').hidden = !text;
  byId('hint').textContent = text;
}

function announce(text) {
  byId('announcer').textContent = text;
}

async function start() {
  let library;
  try {
    library = await import(LIBRARY);
  } catch {
    notice('The chart library is not installed. Run `make` in the project folder, then reload this page.');
    return;
  }
  run(library);
}

function run(library) {
  const asked = new URLSearchParams(location.search);
  const chosen = {
    entry: null, // {exchange, symbol}
    interval: isInterval(asked.get('interval')) ? asked.get('interval') : '10s',
    zone: localStorage.getItem('zone') === 'local' ? 'local' : 'utc',
  };
  let entries = [];
  let connection = { connected: false, retryAt: null };
  let pointed = null;
  const streams = new Map();
  const references = createReferences();

  const whenChosen = (show) => () => chosen.entry && show(current());
  // As often as the eye can follow: a moving candle, digits, passing rows.
  const schedule = createFrames([
    { everyMs: 66, show: whenChosen(() => view.draw()), isDrawnNext: true },
    { everyMs: 100, show: showState },
    { everyMs: 200, show: whenChosen(({ trades, decimals }) => showTape(trades, { decimals, zone: chosen.zone })) },
    { everyMs: 200, show: whenChosen(showWatchlist) },
    { everyMs: 500, show: whenChosen((stream) => showFoot(stream, { isConnected: connection.connected, zone: chosen.zone })) },
  ]);
  const showStatus = createStatus(byId('badges'));
  const showLegend = createLegend(byId('legend'));
  const showQuote = createQuote(byId('price'), byId('change'), byId('since'));
  const showFoot = createFoot(byId('proof'), byId('latency'));
  const showTape = createTape(byId('tape'));
  const watchlist = createWatchlist(byId('watchlist'), select);
  const loadOlder = createHistory(schedule);
  const view = createView(byId('chart'), library, readTheme(), {
    onPoint(start) {
      pointed = start;
      schedule();
    },
    onEdge: () => loadOlder(current(), currentKey()),
    onScroll(isLatest) {
      byId('latest').hidden = isLatest;
    },
  });
  const socket = connect(new URL('ws', document.baseURI).href.replace(/^http/, 'ws'), {
    onMessage(message) {
      const stream = streamOf(message);
      const corrected = apply(stream, message);
      if (corrected && stream === current()) {
        view.flash(corrected.window_start);
        announce(`Candle of ${hours(corrected.window_start, chosen.zone)} corrected`);
      }
      if (message.closed) trimmed(stream);
      schedule();
    },
    onVoid(stream) {
      streamOf(stream).freshness = null;
      schedule();
    },
    onStatus(status) {
      connection = status;
      schedule();
    },
  });

  function streamOf(stream) {
    const key = keyOf(stream);
    if (!streams.has(key)) streams.set(key, emptyStream());
    return streams.get(key);
  }

  /** Limit the candles of a stream, as the page may stay open for days. */
  function trimmed(stream) {
    if (stream !== current()) trim(stream, WATCHED_KEPT);
    else if (stream.candles.size > TRIM_AT && view.isLatest()) trim(stream, MOST_KEPT);
  }

  const currentKey = () => ({ ...chosen.entry, interval: chosen.interval });
  const current = () => streamOf(currentKey());

  function showState() {
    showStatus({ connection, freshness: chosen.entry && current().freshness, exchange: chosen.entry?.exchange });
    const connected = String(connection.connected);
    if (document.body.dataset.connected !== connected) document.body.dataset.connected = connected;
    if (!chosen.entry) return;
    showQuote(current(), referenceOf(chosen.entry));
    showCandle();
  }

  function showCandle() {
    const stream = current();
    const candle = pointed === null
      ? stream.open ?? [...stream.candles.values()].at(-1)
      : stream.open?.window_start === pointed ? stream.open : stream.candles.get(pointed);
    showLegend(candle, {
      start: pointed, isOpen: candle === stream.open, decimals: stream.decimals, zone: chosen.zone,
      seconds: intervalOf(chosen.interval).seconds,
    });
  }

  function showWatchlist() {
    for (const entry of entries) {
      const watched = streams.get(keyOf({ ...entry, interval: WATCHED.interval }));
      watchlist.show(entry, {
        stream: watched,
        reference: referenceOf(entry),
        isSelected: entry === chosen.entry,
        state: stateOf(connection, watched?.freshness),
      });
    }
  }

  function showTitle() {
    const { price, decimals, freshness } = current();
    const isKnown = price && !['connecting', 'disconnected'].includes(stateOf(connection, freshness));
    const title = `${isKnown ? `${amount(price.price, decimals)} ` : ''}${chosen.entry.symbol} · MarketStream`;
    if (document.title !== title) document.title = title;
  }

  function referenceOf(entry) {
    return references.of(entry, streams.get(keyOf({ ...entry, interval: WATCHED.interval })), chosen.zone);
  }

  function select(entry) {
    hint('');
    chosen.entry = entry;
    follow();
  }

  /** Follow exactly the selected stream and those of the watchlist. */
  function subscribe() {
    const { entry, interval } = chosen;
    const watched = [...new Set([entry, ...entries.slice(0, MOST_WATCHED)])].map((each) => ({ ...named(each), ...WATCHED }));
    const wanted = [{ ...named(entry), interval, limit: 300 }, ...watched];
    const unique = [...new Map(wanted.toReversed().map((stream) => [keyOf(stream), stream])).values()];
    const keys = new Set(unique.map(keyOf));
    for (const key of streams.keys()) if (!keys.has(key)) streams.delete(key);
    socket.follow(unique);
  }

  function follow() {
    const { entry, interval } = chosen;
    subscribe();
    pointed = null;
    view.show(current(), intervalOf(interval).seconds);
    byId('symbol').textContent = entry.symbol;
    byId('watermark').hidden = entry.exchange !== 'simulator';
    const help = 'Use the arrow keys to scroll, plus and minus to zoom.';
    byId('chart').setAttribute('aria-label', `${entry.symbol}: candles of ${intervalOf(interval).label} with volume. ${help}`);
    showInterval(interval);
    history.replaceState(null, '', `?${new URLSearchParams({ ...named(entry), interval })}`);
    schedule(true);
  }

  function chooseInterval(name) {
    chosen.interval = name;
    if (chosen.entry) follow();
  }

  function setZone(zone) {
    chosen.zone = zone;
    localStorage.setItem('zone', zone);
    byId('zone').textContent = zone === 'utc' ? 'UTC' : 'Local';
    byId('zone').setAttribute('aria-pressed', String(zone === 'local'));
    view.zone(zone);
    schedule(true);
  }

  async function refreshSymbols() {
    try {
      const found = await fetchSymbols();
      const known = new Set(entries.map((entry) => keyOf({ ...entry, interval: '' })));
      const added = found.filter((entry) => !known.has(keyOf({ ...entry, interval: '' }))).map(named);
      notice(found.length ? '' : 'No symbol is streamed yet. The first one will appear here automatically.');
      if (!added.length) return;
      entries = [...entries, ...added];
      if (chosen.entry) subscribe(); // keeps the scroll position of the user
      else selectFirst();
      schedule();
      added.forEach(references.follow);
    } catch (error) {
      if (!entries.length) notice(`Cannot load the list of symbols: ${error.message}. Retrying.`);
    } finally {
      setTimeout(refreshSymbols, entries.length ? SYMBOLS_MS : 1_000);
    }
  }

  /** Select the symbol that the address names, in either case, or say that it is not streamed. */
  function selectFirst() {
    const found = entries.find(isAsked);
    select(found ?? entries[0]);
    const name = [asked.get('exchange'), asked.get('symbol')].filter(Boolean).join(' ');
    if (!found && name) hint(`${name} is not streamed here. This is ${entries[0].symbol}.`);
    else if (asked.get('interval') && !isInterval(asked.get('interval'))) {
      hint(`There is no interval “${asked.get('interval')}”. This is ${chosen.interval}.`);
    }
  }

  function isAsked({ exchange, symbol }) {
    const isNamed = (value, name) => value.toUpperCase() === (asked.get(name) ?? value).toUpperCase();
    return Boolean(asked.get('symbol') ?? asked.get('exchange')) && isNamed(symbol, 'symbol') && isNamed(exchange, 'exchange');
  }

  const showInterval = createIntervals(byId('intervals'), chooseInterval);
  byId('zone').addEventListener('click', toggleZone);
  byId('help-open').addEventListener('click', () => byId('help').showModal());
  byId('latest').addEventListener('click', view.toLatest);

  function toggleZone() {
    setZone(chosen.zone === 'utc' ? 'local' : 'utc');
  }

  listen({
    interval: chooseInterval,
    symbol(step) {
      const index = entries.indexOf(chosen.entry) + step;
      if (entries[index]) select(entries[index]);
    },
    scroll: (direction, isPage) => view.scroll(direction * (isPage ? view.page() : 5)),
    zoom: view.zoom,
    latest: view.toLatest,
    zone: toggleZone,
    point(step) {
      view.point(step);
      showCandle();
      announce(byId('legend').innerText);
    },
    unpoint: view.unpoint,
    help: () => byId('help').showModal(),
  });
  setZone(chosen.zone);
  refreshSymbols();
  setInterval(whenChosen(showTitle), TITLE_MS); // not in animation frames, which a background tab does not get

  // For tests and the curious. Read-only.
  window.marketstream = Object.freeze({
    candles: () => (chosen.entry ? structuredClone(allCandles(current())) : []),
    drawn: view.drawn,
    place: view.place,
    middle: view.middle,
    prices: view.prices,
    open: () => (chosen.entry ? structuredClone(current().open) : null),
    chosen: () => structuredClone({ ...chosen.entry, interval: chosen.interval, zone: chosen.zone }),
    connected: () => connection.connected,
  });
}

function named({ exchange, symbol }) {
  return { exchange, symbol };
}

start();
