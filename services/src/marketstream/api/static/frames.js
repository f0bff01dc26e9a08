// When which part of the page is shown: in an animation frame, however many messages came until then.

/**
 * Gives the function to call after every change, with true when the user has made it and should see it at once. `parts`
 * are {everyMs, show, isDrawnNext}: shown at most that often, one in a frame, the one that has waited longest first, so
 * that no frame has to do everything. A part that `isDrawnNext` costs little when it is shown, and may be so beside
 * another, but draws itself in the frame after, which is left to it.
 */
export function createFrames(parts) {
  const states = parts.map((part) => ({ ...part, isDue: false, at: -Infinity }));
  let isAsked = false;
  let isTaken = false;
  let timer = 0;
  let wakeAt = Infinity;

  const ripeAt = ({ at, everyMs }) => at + everyMs;

  function plan(now) {
    if (isAsked) return;
    const next = Math.min(...states.filter(({ isDue }) => isDue).map(ripeAt));
    if (isTaken || next <= now) {
      ask();
    } else if (next < wakeAt) {
      clearTimeout(timer);
      wakeAt = next;
      timer = setTimeout(ask, next - now);
    }
  }

  function ask() {
    clearTimeout(timer);
    wakeAt = Infinity;
    isAsked = true;
    requestAnimationFrame(frame);
  }

  function frame(now) {
    isAsked = false;
    if (isTaken) isTaken = false;
    else showRipe(now);
    plan(now);
  }

  function showRipe(now) {
    const ripe = states.filter((state) => state.isDue && ripeAt(state) <= now).sort((one, other) => ripeAt(one) - ripeAt(other));
    const first = ripe.find(({ isDrawnNext }) => !isDrawnNext);
    for (const state of ripe) {
      if (state !== first && !state.isDrawnNext) continue;
      state.isDue = false;
      state.at = now;
      isTaken ||= Boolean(state.isDrawnNext);
      state.show();
    }
  }

  return function changed(isUrgent = false) {
    for (const state of states) {
      state.isDue = true;
      if (isUrgent) state.at = -Infinity;
    }
    plan(performance.now());
  };
}
