// The keyboard shortcuts. The help in index.html lists them.

import { INTERVALS } from './intervals.js';

/** Call `actions` for keys, unless a dialog is open or a modifier of the browser is held. */
export function listen(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || document.querySelector('dialog[open]')) return;
    const action = actionOf(event, actions);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function actionOf({ key, shiftKey, altKey }, actions) {
  if (altKey) return { ArrowLeft: () => actions.point(-1), ArrowRight: () => actions.point(1) }[key];
  const interval = INTERVALS[Number(key) - 1];
  if (interval) return () => actions.interval(interval.name);
  switch (key) {
    case 'ArrowUp':
      return () => actions.symbol(-1);
    case 'ArrowDown':
      return () => actions.symbol(1);
    case 'ArrowLeft':
      return () => actions.scroll(-1, shiftKey);
    case 'ArrowRight':
      return () => actions.scroll(1, shiftKey);
    case '+':
    case '=':
      return () => actions.zoom(0.8);
    case '-':
      return () => actions.zoom(1.25);
    case 'Escape':
      return actions.unpoint;
    case 'End':
      return actions.latest;
    case 'u':
    case 'U':
      return actions.zone;
    case '?':
      return actions.help;
    default:
      return null;
  }
}
