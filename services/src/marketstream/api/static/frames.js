// When which part of the page is shown: in an animation frame, however many messages came until then.

/**
 * Gives the function to call after every change. `parts` are {everyMs, show}: shown at most that often, those of 0 in
 * every frame. Of the others one frame shows one, so that no frame has to do everything.
 */
export function createFrames(parts) {
  const states = parts.map((part) => ({ ...part, isDue: false, at: -Infinity }));
  let isAsked = false;
  let timer = 0;

  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(frame);
  }

  function frame(now) {
    isAsked = false;
    let slow = null;
    let wait = Infinity;
    for (const state of states.filter(({ isDue }) => isDue)) {
      const left = state.at + state.everyMs - now;
      if (state.everyMs === 0) run(state, now);
      else if (left <= 0 && (!slow || state.at < slow.at)) slow = state;
      else wait = Math.min(wait, Math.max(0, left));
    }
    if (slow) run(slow, now);
    clearTimeout(timer);
    if (states.some(({ isDue }) => isDue)) timer = setTimeout(ask, Number.isFinite(wait) ? wait : 0);
  }

  function run(state, now) {
    state.isDue = false;
    state.at = now;
    state.show();
  }

  return function changed() {
    for (const state of states) state.isDue = true;
    ask();
  };
}
