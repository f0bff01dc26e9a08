// The lengths of candles, as market/window.py has them, and the buttons that choose one.

export const INTERVALS = [
  { name: '10s', seconds: 10, label: '10 seconds' },
  { name: '1m', seconds: 60, label: '1 minute' },
  { name: '5m', seconds: 300, label: '5 minutes' },
  { name: '15m', seconds: 900, label: '15 minutes' },
  { name: '1h', seconds: 3600, label: '1 hour' },
  { name: '4h', seconds: 14400, label: '4 hours' },
  { name: '1d', seconds: 86400, label: '1 day' },
];

/** The interval with this name. */
export const intervalOf = (name) => INTERVALS.find((interval) => interval.name === name);

/** Whether there is an interval with this name. */
export const isInterval = (name) => INTERVALS.some((interval) => interval.name === name);

/** Buttons in `element`, which gives the function that marks the chosen one. */
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
