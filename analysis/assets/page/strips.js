// Under the network, over the time of the run: what was done, a strip per router in its state, updates per
// second. It is a time bar too: dragging moves the instant shown.
//
// Assumes    a decoded course. Guarantees that states differ in height as well as in colour.

const strips = { box: byId('strips'), course: null, cursor: null, width: 0, router: null };
const GUTTER = 64, MARGIN = 24, SIGNS = 20, RATE = 64;
const SIGN = { planned: '○', failed: '▼', killed: '✖', restarted: '▲', seen: '◇', up: '↑', down: '↓', quiet: '■', last: '●' };

const timeToX = (t) => {
  const { course, width } = strips;
  return GUTTER + ((t - course.start) / (course.end - course.start)) * (width - GUTTER - MARGIN);
};
const xToTime = (x) => {
  const { course, width } = strips;
  return clamp(course.start + ((x - GUTTER) / (width - GUTTER - MARGIN)) * (course.end - course.start), course.start, course.end);
};

/// Draws the whole run. `router` narrows the updates to one router's.
function setStrips(course, router = null) {
  strips.course = course;
  strips.router = router;
  strips.width = Math.max(strips.box.parentElement.clientWidth - 2, 300);
  const row = clamp(Math.floor(220 / course.routers), 3, 13);
  const rows = SIGNS + 4;
  const rates = rows + course.routers * row + 18;
  const height = rates + RATE + 26;
  const { box, width } = strips;
  box.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const parts = [];

  // A path per state holds the spans of all routers.
  const paths = ['', '', '', ''];
  spansOf(course).forEach((spans, r) => {
    for (const { state, from, to } of spans) {
      const [x, far] = [timeToX(from), timeToX(to)];
      const full = row - (row > 4 ? 2 : 1);
      const tall = state === 0 ? Math.max(full * 0.3, 1) : full;
      const y = rows + r * row + (full - tall) / 2;
      paths[state] += `M${x.toFixed(1)} ${y.toFixed(1)}H${Math.max(far, x + 0.7).toFixed(1)}v${tall.toFixed(1)}H${x.toFixed(1)}Z`;
    }
  });
  paths.forEach((d, state) => { if (d) parts.push(svg('path', { class: `span-${STATES[state]}`, d })); });
  // Every change of a table or of a state, upright: where paths are explored, they stand close.
  const ticks = course.turns.map(({ t, router: r }) => `M${timeToX(t).toFixed(1)} ${rows + r * row}v${row - (row > 4 ? 2 : 1)}`);
  parts.push(svg('path', { class: 'turn', d: ticks.join('') }));
  const labelled = Math.ceil(11 / row);
  for (let r = 0; r < course.routers; r += labelled) {
    parts.push(svg('text', { class: 'row', x: GUTTER - 6, y: rows + r * row + Math.min(row, 11) - 1, text: course.network.nodes[r][0] }));
  }

  parts.push(...rateParts(course, router, rates));
  const span = course.end - course.start;
  parts.push(svg('path', { class: 'axis', d: `M${GUTTER} ${rates + RATE}H${width - MARGIN}` }));
  for (const tick of linearTicks(course.start / 1e6, course.end / 1e6, width / 80)) {
    const x = timeToX(tick * 1e6);
    parts.push(svg('path', { class: 'axis', d: `M${x.toFixed(1)} ${rates + RATE}v4` }));
    parts.push(svg('text', { class: 'tick', x: x.toFixed(1), y: rates + RATE + 16, text: `${digits(tick, span / 1e6)} s` }));
  }
  parts.push(svg('path', { class: 'zero', d: `M${timeToX(0).toFixed(1)} ${SIGNS - 4}V${rates + RATE}` }));
  let free = -Infinity;
  for (const moment of course.moments) {
    const x = timeToX(moment.t);
    if (x < GUTTER - 6) continue;
    // What coincides is told apart in the list of events.
    const at = Math.max(x, free);
    if (at - x > 40) continue;
    free = at + 11;
    parts.push(svg('text', { class: `sign sign-${moment.sign}`, x: at.toFixed(1), y: 14, text: SIGN[moment.sign] },
      svg('title', { text: `${secondsOf(moment.t)}: ${moment.text}` })));
  }
  strips.cursor = svg('path', { class: 'cursor' });
  strips.rates = rates;
  parts.push(strips.cursor);
  box.replaceChildren(...parts);
}

/// Updates per second: advertisements below, withdrawals on top of them.
function rateParts(course, router, top) {
  // Of a round width, and not so short that a single burst looks like a storm.
  const narrow = ((course.end - course.start) * 4) / (strips.width - GUTTER - MARGIN);
  const bin = [1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7].find((b) => b >= narrow) ?? narrow;
  const columns = Math.ceil((course.end - course.start) / bin) + 1;
  const first = Math.floor(course.start / bin) * bin;
  const wide = Math.max(timeToX(course.start + bin) - timeToX(course.start) - 0.8, 1).toFixed(1);
  const [adv, wd] = [new Float64Array(columns), new Float64Array(columns)];
  course.updates.forEach((bursts, r) => {
    if (router !== null && r !== router) return;
    for (const burst of bursts) {
      const i = clamp(Math.floor((burst.t - first) / bin), 0, columns - 1);
      adv[i] += burst.adv;
      wd[i] += burst.wd;
    }
  });
  const perSecond = 1e6 / bin;
  let most = 0;
  for (let i = 0; i < columns; i += 1) most = Math.max(most, (adv[i] + wd[i]) * perSecond);
  const y = (rate) => top + RATE - (most ? (rate / most) * (RATE - 14) : 0);
  let [a, w] = ['', ''];
  for (let i = 0; i < columns; i += 1) {
    const x = timeToX(Math.max(first + i * bin, course.start)).toFixed(1);
    const level = y(adv[i] * perSecond);
    if (adv[i]) a += `M${x} ${(top + RATE).toFixed(1)}V${level.toFixed(1)}h${wide}V${(top + RATE).toFixed(1)}Z`;
    if (wd[i]) w += `M${x} ${level.toFixed(1)}V${y((adv[i] + wd[i]) * perSecond).toFixed(1)}h${wide}V${level.toFixed(1)}Z`;
  }
  const whose = router === null ? 'all routers' : course.network.nodes[router][0];
  const words = `updates per second, ${whose}: ${most ? `up to ${Math.round(most)}` : 'none'}`;
  return [
    svg('path', { class: 'rate-adv', d: a }), svg('path', { class: 'rate-wd', d: w }),
    svg('text', { x: GUTTER + 4, y: top + 8, text: words }),
    svg('text', { class: 'row', x: GUTTER - 6, y: top + RATE, text: '0' }),
  ];
}

/// Moves the line to an instant.
function showStrips(t) {
  const x = timeToX(t).toFixed(1);
  strips.cursor.setAttribute('d', `M${x} ${SIGNS - 2}V${strips.rates + RATE}`);
}
