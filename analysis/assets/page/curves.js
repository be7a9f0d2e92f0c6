// The distributions over runs: steps, a curve per arm, to be read, narrowed, and switched on and off.
//
// Assumes    `data.arms`, `data.runs`, `data.metrics`. Guarantees that only valid runs are drawn, one value
//            each, and that every point leads to its run's replay.

const charts = [];
const shownArms = new Set(data.arms.map((_, arm) => arm));
let axisKind = 'linear';

/// The values of an arm, ascending, each with the number of its run.
function sample(metric, arm) {
  const points = [];
  data.runs.forEach((run, number) => {
    const value = run.arm === arm && run.valid ? run.values?.[metric] : null;
    if (value !== null && value !== undefined) points.push({ value, run: number });
  });
  return points.sort((a, b) => a.value - b.value);
}

const HEIGHT = 250, TOP = 10, BOTTOM = 40, LEFT = 42, RIGHT = 12;
/// With more runs than this, not every one has its marker.
const MARKED = 16;

function makeChart(first) {
  const chart = { metric: first, domain: null, at: null, width: 0 };
  const choose = html('select', { 'aria-label': 'What is shown' });
  data.metrics.forEach((m, i) => choose.append(html('option', { value: i, text: m.title, selected: i === first })));
  const all = html('button', { type: 'button', class: 'whole', text: 'all', title: 'Zoom out (0)', hidden: true });
  const drawing = svg('svg', { tabindex: 0, role: 'application', 'aria-roledescription': 'chart' });
  const readout = html('ul', { class: 'readout', 'aria-live': 'polite' });
  const figure = html('figure', { class: 'chart' }, html('figcaption', {}, choose, all), drawing, readout);
  byId('charts').append(figure);

  const samples = () => [...shownArms].sort((a, b) => a - b).map((arm) => ({ arm, points: sample(chart.metric, arm) }));
  const values = () => samples().flatMap((s) => s.points.map((p) => p.value));
  const whole = () => wholeDomain(axisKind, values());
  let scale = null;

  chart.draw = (onPaper = null) => {
    const width = (chart.width = onPaper ?? Math.max(figure.clientWidth - 16, 260));
    const metric = data.metrics[chart.metric];
    const domain = chart.domain ?? whole();
    scale = makeScale(axisKind, domain, [LEFT, width - RIGHT], axisKind === 'log' && values().some((v) => v <= 0));
    const y = (fraction) => HEIGHT - BOTTOM - fraction * (HEIGHT - BOTTOM - TOP - 4);
    all.hidden = chart.domain === null;
    drawing.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    drawing.setAttribute('aria-label', `${metric.title}: cumulative fraction of runs, ${shownArms.size} arms`);
    const clip = `clip-${charts.indexOf(chart)}`;
    const parts = [svg('clipPath', { id: clip }, svg('rect', { x: LEFT - 1, y: 0, width: width - RIGHT - LEFT + 5, height: HEIGHT }))];
    for (const fraction of [0, 0.25, 0.5, 0.75, 1]) {
      parts.push(svg('path', { class: 'grid', d: `M${LEFT} ${y(fraction)}H${width - RIGHT}` }));
      parts.push(svg('text', { x: LEFT - 6, y: y(fraction) + 4, 'text-anchor': 'end', text: `${fraction * 100} %` }));
    }
    const span = domain[1] - domain[0];
    let free = -Infinity;
    for (const tick of scale.ticks) {
      const x = scale.place(tick);
      if (x < LEFT - 1 || x > width - RIGHT + 1) continue;
      parts.push(svg('path', { class: 'axis', d: `M${x} ${y(0)}v5` }));
      const label = axisKind === 'log' ? digits(tick, tick || 1) : digits(tick, span);
      if (x - label.length * 3.4 < free) continue;
      free = x + label.length * 3.4 + 6;
      parts.push(svg('text', { x, y: y(0) + 18, 'text-anchor': 'middle', text: label }));
    }
    parts.push(svg('path', { class: 'axis', d: scale.zeros ? `M${LEFT} ${y(0)}H${scale.from - 8}m3 -4v8m3 -8v8m2 -4H${width - RIGHT}` : `M${LEFT} ${y(0)}H${width - RIGHT}` }));
    parts.push(svg('text', { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 4, 'text-anchor': 'middle', text: metric.axis }));
    const inside = svg('g', { 'clip-path': `url(#${clip})` });
    for (const { arm, points } of samples()) inside.append(...curve(arm, points, y));
    parts.push(inside, (chart.over = svg('g', {})));
    drawing.replaceChildren(...parts);
    chart.point(chart.at);
  };

  function curve(arm, points, y) {
    if (points.length === 0) return [];
    const n = points.length;
    const at = points.map((p, i) => ({ ...p, x: scale.place(p.value), y: y((i + 1) / n) }));
    const parts = [];
    const band = data.arms[arm].bands?.[chart.metric];
    if (band) parts.push(svg('path', { class: `band ${penOf(arm)}`, d: bandPath(at, n, band, y) }));
    const steps = at.map((p) => `H${p.x.toFixed(1)}V${p.y.toFixed(1)}`).join('');
    parts.push(svg('path', { class: `curve ${penOf(arm)}`, 'data-arm': arm, d: `M${at[0].x.toFixed(1)} ${y(0).toFixed(1)}${steps}` }));
    const every = Math.ceil(n / MARKED);
    at.forEach((p, i) => {
      if ((n - 1 - i) % every === 0) parts.push(marker(arm, p.x, p.y));
    });
    return parts;
  }

  /// The band within which the true distribution lies: so far above and below the steps, from the smallest
  /// value to the largest. Beyond them those of several arms would cover everything.
  function bandPath(at, n, half, y) {
    const [left, right] = [at[0].x.toFixed(1), at[n - 1].x.toFixed(1)];
    const high = (i) => y(Math.min(i / n + half, 1)).toFixed(1);
    const low = (i) => y(Math.max(i / n - half, 0)).toFixed(1);
    const up = at.map((p, i) => `H${p.x.toFixed(1)}V${high(i + 1)}`).join('');
    const down = at.map((p, i) => `V${low(i + 1)}H${p.x.toFixed(1)}`).reverse().join('');
    return `M${left} ${high(0)}${up}H${right}${down}V${low(0)}H${left}Z`;
  }

  function marker(arm, x, y) {
    const shape = data.arms[arm].pen % 4;
    const place = { class: `point ${shape % 2 === 0 ? 'full' : ''} ${penOf(arm)}` };
    if (shape === 0) return svg('circle', { ...place, cx: x, cy: y, r: 2.6 });
    if (shape === 1) return svg('rect', { ...place, x: x - 3.5, y: y - 3.5, width: 7, height: 7 });
    if (shape === 2) return svg('path', { ...place, d: `M${x} ${y - 4}l4 7h-8Z` });
    return svg('path', { ...place, d: `M${x} ${y - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5Z` });
  }

  const line = (arm, ...words) => html('li', {},
    svg('svg', { class: `sample ${penOf(arm)}`, viewBox: '0 0 30 12', width: 24, height: 10 }, svg('path', { d: 'M1 6H29' })),
    ` ${data.arms[arm].label}: `, ...words);

  /// Reads all curves at a value of the axis; none takes the cross away.
  chart.point = (value) => {
    chart.at = value;
    chart.over.replaceChildren();
    readout.replaceChildren();
    if (value === null) {
      for (const arm of [...shownArms].sort((a, b) => a - b)) {
        const median = data.arms[arm].medians[chart.metric];
        if (median !== null) readout.append(line(arm, 'median ', html('b', { text: digits(median, median) })));
      }
      return;
    }
    const { unit } = data.metrics[chart.metric];
    const span = (chart.domain ?? whole()).reduce((a, b) => b - a);
    const x = clamp(scale.place(value), LEFT, chart.width - RIGHT);
    chart.over.append(svg('path', { class: 'cross', d: `M${x} ${TOP}V${HEIGHT - BOTTOM}` }));
    for (const { arm, points } of samples()) {
      const n = points.length;
      const below = above(points.map((p) => p.value), value);
      const share = n ? `${Math.round((100 * below) / n)} % (${below} of ${n})` : 'no valid run';
      readout.append(line(arm, html('b', { text: share }), ` ≤ ${digits(value, span)} ${unit === 's' ? 's' : ''}`));
    }
  };

  const nearest = (value) => {
    const points = samples().flatMap((s) => s.points).filter((p) => data.runs[p.run].replay);
    if (points.length === 0) return null;
    return points.reduce((best, p) =>
      (Math.abs(scale.place(p.value) - scale.place(value)) < Math.abs(scale.place(best.value) - scale.place(value)) ? p : best));
  };
  const open = (value) => {
    const point = value === null ? null : nearest(value);
    if (point) location.hash = `replay=${encodeURIComponent(data.runs[point.run].id)}`;
  };

  chart.zoom = (domain) => {
    chart.domain = domain;
    chart.draw();
  };
  const zoomBy = (factor) => {
    const [low, high] = chart.domain ?? whole();
    const middle = chart.at ?? (low + high) / 2;
    if (axisKind === 'log') {
      const ratio = (high / low) ** (factor / 2);
      const centre = middle > 0 ? middle : Math.sqrt(low * high);
      chart.zoom([centre / ratio, centre * ratio]);
    } else chart.zoom([middle - (middle - low) * factor, middle + (high - middle) * factor]);
  };

  const toX = (event) => {
    const box = drawing.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * chart.width;
  };
  let from = null;
  drawing.addEventListener('pointerdown', (event) => {
    if (event.button === 0) from = clamp(toX(event), LEFT, chart.width - RIGHT);
  });
  drawing.addEventListener('pointermove', (event) => {
    const x = clamp(toX(event), LEFT, chart.width - RIGHT);
    chart.point(scale.value(x));
    if (from !== null && Math.abs(x - from) > 6) {
      drawing.setPointerCapture(event.pointerId);
      chart.over.append(svg('rect', { class: 'drag', x: Math.min(from, x), y: TOP, width: Math.abs(x - from), height: HEIGHT - TOP - BOTTOM }));
    }
  });
  drawing.addEventListener('pointerup', (event) => {
    const x = clamp(toX(event), LEFT, chart.width - RIGHT);
    if (from !== null && Math.abs(x - from) > 6) {
      const [a, b] = [scale.value(Math.min(from, x)), scale.value(Math.max(from, x))];
      if (b > a && (axisKind === 'linear' || a > 0)) chart.zoom([a, b]);
      else chart.zoom(null);
    } else if (from !== null && event.detail < 2) open(scale.value(x));
    from = null;
  });
  drawing.addEventListener('pointercancel', () => { from = null; });
  drawing.addEventListener('pointerleave', () => { if (from === null) chart.point(null); });
  drawing.addEventListener('dblclick', () => chart.zoom(null));
  all.addEventListener('click', () => chart.zoom(null));
  drawing.addEventListener('keydown', (event) => {
    const sorted = values().sort((a, b) => a - b);
    const step = {
      ArrowRight: () => chart.point(sorted.find((v) => v > (chart.at ?? -Infinity)) ?? chart.at),
      ArrowLeft: () => chart.point(sorted.findLast((v) => v < (chart.at ?? Infinity)) ?? chart.at),
      Home: () => chart.point(sorted[0] ?? null),
      End: () => chart.point(sorted.at(-1) ?? null),
      Enter: () => open(chart.at),
      Escape: () => chart.point(null),
      0: () => chart.zoom(null),
      '+': () => zoomBy(0.5),
      '-': () => zoomBy(2),
    }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    step();
    event.preventDefault();
  });
  choose.addEventListener('change', () => {
    chart.metric = Number(choose.value);
    chart.at = null;
    chart.zoom(null);
  });
  charts.push(chart);
  new ResizeObserver(() => { if (Math.abs(Math.max(figure.clientWidth - 16, 260) - chart.width) > 1) chart.draw(); }).observe(figure);
  chart.draw();
}

// On paper two stand beside one another, with letters of the paper's size.
addEventListener('beforeprint', () => charts.forEach((chart) => chart.draw(340)));
addEventListener('afterprint', () => charts.forEach((chart) => chart.draw()));

const drawCharts = () => charts.forEach((chart) => chart.draw());

function switches() {
  data.arms.forEach((arm, i) => {
    const box = html('input', { type: 'checkbox', checked: true, 'data-arm': i });
    box.addEventListener('change', () => {
      if (box.checked) shownArms.add(i); else shownArms.delete(i);
      drawCharts();
    });
    const runs = arm.valid < arm.total ? `${arm.valid} of ${arm.total} runs valid` : `${arm.valid} ${arm.valid === 1 ? 'run' : 'runs'}`;
    byId('arms').append(html('label', {}, box,
      svg('svg', { class: `sample ${penOf(i)}`, viewBox: '0 0 30 12', width: 30, height: 12 }, svg('path', { d: 'M1 6H29' })),
      `${arm.label} (${runs})`));
  });
  if (data.arms.length > 6) {
    for (const [word, on] of [['all', true], ['none', false]]) {
      const button = html('button', { type: 'button', class: 'controls', text: word });
      button.addEventListener('click', () => {
        for (const box of document.querySelectorAll('#arms input')) box.checked = on;
        data.arms.forEach((_, arm) => { if (on) shownArms.add(arm); else shownArms.delete(arm); });
        drawCharts();
      });
      byId('arms').append(button);
    }
  }
  for (const button of document.querySelectorAll('button.scale')) {
    button.addEventListener('click', () => {
      axisKind = button.dataset.scale;
      for (const other of document.querySelectorAll('button.scale')) other.setAttribute('aria-pressed', other === button);
      charts.forEach((chart) => { chart.domain = null; chart.at = null; });
      drawCharts();
    });
  }
}

if (data.runs.some((run) => run.valid && run.values)) {
  byId('curves').hidden = false;
  switches();
  for (const name of ['convergence_s', 'disconnected_s', 'updates_sent']) {
    const metric = data.metrics.findIndex((m) => m.name === name);
    if (metric >= 0) makeChart(metric);
  }
}
