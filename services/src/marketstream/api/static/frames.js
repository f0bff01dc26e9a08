// Schedule the updates of the parts of the page in animation frames, independent of the number of messages.

/**
 * Return the function to call after every change, with true if the user made the change and should see it at once.
 * `parts` are {everyMs, show, isDrawnNext}. A part is shown at most every `everyMs`. Each frame shows one part, the one
 * that has waited longest, so that no frame has to do everything. With `isDrawnNext`, showing a part is cheap and may
 * happen in the same frame as another part, but the part draws itself in the next frame, in which no other is shown.
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
