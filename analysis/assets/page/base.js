// What every part of the page uses: the data, elements, numbers.
//
// Assumes    the block of JSON that page/data.rs writes.
// Guarantees that text goes into the page as text, never as markup.

const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children ?? []) element.append(child);
  return element;
}
const html = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/// A number with digits enough to tell values of that span apart, and none that say nothing.
function digits(value, span) {
  const decimals = clamp(Math.ceil(-Math.log10(span || 1)) + 2, 0, 6);
  return Number(value.toFixed(decimals)).toString();
}

/// Seconds of microseconds, to the millisecond.
const secondsOf = (us) => `${(Math.round(us / 1e3) / 1e3 || 0).toFixed(3)} s`;

/// Index of the first element of an ascending array that is above `x`.
function above(array, x) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] > x) high = middle; else low = middle + 1;
  }
  return low;
}

const PENS = 8;
const penOf = (arm) => `pen-${data.arms[arm].pen % PENS} dash-${Math.floor(data.arms[arm].pen / PENS)}`;
const numberOfRun = new Map(data.runs.map((run, number) => [run.id, number]));

/// The value of a metric, by its name, for a run; undefined if there is none.
const valueOf = (run, metric) => data.runs[run].values?.[data.metrics.findIndex((m) => m.name === metric)] ?? undefined;

/// A short name of a state, and how it is drawn: page/encode.rs numbers them so.
const STATES = ['reached', 'no-route', 'loop', 'blackhole'];
const STATE_WORDS = ['reaches the destination', 'no route', 'loop', 'blackhole'];
