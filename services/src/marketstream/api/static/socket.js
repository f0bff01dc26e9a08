// The connection to /ws, which reconnects and subscribes again by itself.

const FIRST_WAIT_MS = 400;
const MOST_WAIT_MS = 10_000;
const QUIET_MS = 8_000; // after which the server is pinged; a live one is rarely silent for a second
const ANSWER_MS = 4_000; // within which it must answer the ping
// Delay before a refused stream is requested again, by the code of the error.
const AGAIN_MS = { 'store-away': 2_000, 'unknown-symbol': 15_000, 'unknown-exchange': 15_000 };

/** Return the key of a stream. */
export const keyOf = ({ exchange, symbol, interval }) => `${exchange}:${symbol}:${interval}`;

/**
 * Open the connection. Calls `onMessage(message)` with every message of a followed stream, in order, `onVoid(stream)` when
 * the data of a stream is outdated until its next snapshot, and `onStatus(status)` with {connected: true} or
 * {connected: false, retryAt}.
 */
export function connect(url, { onMessage, onVoid, onStatus }) {
  const followed = new Map(); // key → {stream, epoch, seq}, without an epoch until the snapshot has arrived
  let socket = null;
  let failures = 0;
  let watchdog = 0;
  let heardAt = 0;
  let reopening = 0;

  function open() {
    socket = new WebSocket(url);
    socket.onopen = () => {
      onStatus({ connected: true });
      ask([...followed.values()].map((entry) => entry.stream));
      heardAt = performance.now();
      watch();
    };
    socket.onmessage = ({ data }) => {
      heardAt = performance.now();
      take(JSON.parse(data));
    };
    socket.onclose = lose;
  }

  function lose() {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
    clearTimeout(watchdog);
    // Jitter: pages that lost the same server must not reconnect at the same time.
    const wait = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    for (const entry of followed.values()) makeVoid(entry); // after the reconnect it may be refused
    onStatus({ connected: false, retryAt: Date.now() + wait });
    reopening = setTimeout(open, wait);
  }

  /** Connect without waiting any longer: the network is back, or somebody looks at the page again. */
  function reopen() {
    if (socket) return;
    clearTimeout(reopening);
    failures = 0;
    open();
  }

  /** Wait until the connection has been silent for too long, without a new timer for each of hundreds of messages. */
  function watch() {
    const left = heardAt + QUIET_MS - performance.now();
    watchdog = setTimeout(left > 0 ? watch : doubt, left);
  }

  function doubt() {
    const doubtedAt = performance.now();
    send({ type: 'ping' });
    watchdog = setTimeout(() => (heardAt > doubtedAt ? watch() : lose()), ANSWER_MS);
  }

  function take(message) {
    switch (message.type) {
      case 'snapshot':
      case 'candle':
      case 'price':
      case 'trades':
      case 'state':
        return takeNumbered(message);
      case 'error':
        return refused(message);
      case 'pong':
      case 'unsubscribed':
        return undefined;
      default:
        throw new Error(`unknown message type from the server: ${JSON.stringify(message.type)}`);
    }
  }

  function takeNumbered(message) {
    const entry = followed.get(keyOf(message));
    if (!entry) return; // unsubscribed while the message was on its way
    if (message.type === 'snapshot') {
      entry.epoch = message.epoch;
      clearTimeout(entry.again);
    } else if (entry.epoch !== message.epoch || message.seq !== entry.seq + 1) {
      if (entry.epoch !== null) {
        makeVoid(entry); // a message was missed: request a snapshot once, and skip messages until it arrives
        ask([entry.stream]);
      }
      return;
    }
    entry.seq = message.seq;
    failures = 0; // not when the connection opens: a full server accepts it as well, and then closes it
    onMessage(message);
  }

  function makeVoid(entry) {
    entry.epoch = null;
    onVoid(entry.stream);
  }

  function refused({ code, detail, stream }) {
    console.warn(`${code}: ${detail}`);
    const entry = stream && followed.get(keyOf(stream));
    if (!entry || !AGAIN_MS[code]) return;
    clearTimeout(entry.again); // the timer of an earlier connection
    entry.again = setTimeout(() => {
      if (followed.get(keyOf(stream)) === entry) ask([entry.stream]);
    }, AGAIN_MS[code]);
  }

  function ask(streams) {
    if (streams.length) send({ type: 'subscribe', streams });
  }

  function send(message) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  window.addEventListener('offline', lose);
  window.addEventListener('online', reopen);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    reopen();
    if (socket?.readyState !== WebSocket.OPEN) return;
    clearTimeout(watchdog); // a computer that slept has lost its connection without a word
    doubt();
  });
  open();
  return {
    /** Follow exactly these streams: {exchange, symbol, interval, limit}. */
    follow(streams) {
      const wanted = new Map(streams.map((stream) => [keyOf(stream), stream]));
      const dropped = [...followed.keys()].filter((key) => !wanted.has(key)).map((key) => followed.get(key).stream);
      dropped.forEach((stream) => followed.delete(keyOf(stream)));
      const added = [...wanted].filter(([key, stream]) => !followed.has(key) || followed.get(key).stream.limit < stream.limit);
      for (const [key, stream] of added) {
        followed.set(key, { stream, epoch: null, seq: 0 });
        onVoid(stream);
      }
      if (dropped.length) send({ type: 'unsubscribe', streams: dropped });
      ask(added.map(([, stream]) => stream));
    },
  };
}
