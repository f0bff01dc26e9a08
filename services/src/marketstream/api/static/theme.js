// The colours of the chart, read from style.css so that they are defined only once.

/** Return the custom properties of the page that a canvas needs. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: read('ground'), raised: read('raised'), line: read('line'), grid: read('grid'), muted: read('muted'),
    up: read('up'), down: read('down'), warn: read('warn'), flash: read('flash'),
    upSoft: `${read('up')}73`, downSoft: `${read('down')}73`, warnSoft: `${read('warn')}73`,
    font: read('font'),
  };
}
