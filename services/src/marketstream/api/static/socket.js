// The connection to /ws: it comes back by itself, and asks again for what it follows.

const FIRST_WAIT_MS = 400;
const MOST_WAIT_MS = 10_000;
const QUIET_MS = 8_000; // after which the server is asked for a sign; a live one is rarely silent for a second
const ANSWER_MS = 4_000; // within which it must give one
// After which a stream that was refused for now is asked for again, by what it was refused for.
const AGAIN_MS = { 'store-away': 2_000, 'unknown-symbol': 15_000, 'unknown-exchange': 15_000 };

/** The name of a stream. */
export const keyOf = ({ exchange, symbol, interval }) => `${exchange}:${symbol}:${interval}`;

/**
 * Opens the connection. `onMessage(message)` gets every message of a followed stream in order, `onVoid(stream)` is told
 * that what is known of one is old until its next snapshot, `onStatus(status)` gets {connected: true} or
 * {connected: false, retryAt}.
 */
export function connect(url, { onMessage, onVoid, onStatus }) {
  const followed = new Map(); // key → {stream, epoch, seq}: no epoch until its snapshot has come
  let socket = null;
  let failures = 0;
  let watchdog = 0;
  let heardAt = 0;

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
    // Jitter: pages that lost the same server must not come back in step.
    const wait = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    for (const entry of followed.values()) makeVoid(entry); // back again, it may be refused
    onStatus({ connected: false, retryAt: Date.now() + wait });
    setTimeout(open, wait);
  }

  /** Waits until the connection has been quiet for too long: no timer of its own for each of hundreds of messages. */
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
        throw new Error(`the server sent a message of type ${JSON.stringify(message.type)}, which this page does not know`);
    }
  }

  function takeNumbered(message) {
    const entry = followed.get(keyOf(message));
    if (!entry) return; // unsubscribed, but it was on its way
    if (message.type === 'snapshot') {
      entry.epoch = message.epoch;
      clearTimeout(entry.again);
    } else if (entry.epoch !== message.epoch || message.seq !== entry.seq + 1) {
      if (entry.epoch !== null) {
        makeVoid(entry); // a message was missed: ask once for all of it, and pass over the rest until it comes
        ask([entry.stream]);
      }
      return;
    }
    entry.seq = message.seq;
    failures = 0; // not when it opens: a server without room accepts a connection, too, and closes it
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
    clearTimeout(entry.again); // of an earlier connection
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

  open();
  return {
    /** Follows exactly these streams: {exchange, symbol, interval, limit}. */
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
