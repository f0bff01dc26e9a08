// The difference between the viewer's clock and the server's, so that ages are true on a computer whose clock is wrong.

const SURE_MS = 1_500; // a smaller difference may come from the header Date, which has whole seconds, and the way there

let skewMs = 0;

/** Read the server's clock from a response, which was requested at `askedMs` by the viewer's clock. */
export function readClock(response, askedMs) {
  const date = Date.parse(response.headers.get('date'));
  if (Number.isNaN(date)) return;
  const found = date + 500 - (askedMs + Date.now()) / 2;
  skewMs = Math.abs(found) < SURE_MS ? 0 : found;
}

/** Return the milliseconds by which the viewer's clock is behind, negative if it is ahead; 0 if the clocks agree. */
export const skew = () => skewMs;
