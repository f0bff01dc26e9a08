// The intervals of market/window.py, and the buttons to select one.

export const INTERVALS = [
  { name: '10s', seconds: 10, label: '10 seconds' },
  { name: '1m', seconds: 60, label: '1 minute' },
  { name: '5m', seconds: 300, label: '5 minutes' },
  { name: '15m', seconds: 900, label: '15 minutes' },
  { name: '1h', seconds: 3600, label: '1 hour' },
  { name: '4h', seconds: 14400, label: '4 hours' },
  { name: '1d', seconds: 86400, label: '1 day' },
];

/** Return the interval with this name. */
export const intervalOf = (name) => INTERVALS.find((interval) => interval.name === name);

/** Return true if there is an interval with this name. */
export const isInterval = (name) => INTERVALS.some((interval) => interval.name === name);

/** Create the buttons in `element`. Returns the function that marks the selected one. */
export function createIntervals(element, onChoose) {
  for (const { name, label } of INTERVALS) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', value: name, textContent: name, title: label });
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => onChoose(name));
    element.append(button);
  }
  return function show(name) {
    for (const button of element.children) button.setAttribute('aria-pressed', String(button.value === name));
  };
}
