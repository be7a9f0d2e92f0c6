// The replay: which run, which instant, playing or not; by mouse, by keys, and by the page's address.
//
// Assumes    the stage and the strips. Guarantees that every way of moving ends in `seek`, and that what is
//            shown depends on run and instant alone.

const player = { run: null, course: null, t: 0, playing: false, last: 0 };
const replayable = data.runs.map((_, number) => number).filter((number) => data.runs[number].replay);

function load(number, t = null) {
  player.run = number;
  player.course = decode(data.runs[number].replay, valueOf(number, 'convergence_s'));
  const { course } = player;
  pause();
  setStage(course);
  setStrips(course);
  const bar = byId('bar');
  bar.min = course.start;
  bar.max = course.end;
  byId('run').value = number;
  const seconds = course.end / 1e6;
  // As fast as makes the whole run about fifteen seconds.
  const speeds = [...byId('speed').options].map((o) => Number(o.value));
  byId('speed').value = speeds.reduce((best, s) => (Math.abs(Math.log(seconds / s / 15)) < Math.abs(Math.log(seconds / best / 15)) ? s : best));
  byId('router').replaceChildren(html('option', { value: '', text: 'no router' }),
    ...course.before.map((_, router) => html('option', { value: router, text: course.network.nodes[router][0] })));
  about(number);
  byId('moments').replaceChildren(...course.moments.map((moment) => html('li', {},
    html('button', { type: 'button', onclick: () => { pause(); seek(moment.t); } },
      html('span', { class: 'sign', 'aria-hidden': 'true', text: SIGN[moment.sign] }),
      html('span', { class: 'when', text: secondsOf(moment.t) }), html('span', { text: moment.text })))));
  seek(t ?? course.start);
}

/// A line about the run: validity, and its figures.
function about(number) {
  const run = data.runs[number];
  const figures = data.metrics.map((m) => [m, valueOf(number, m.name)])
    .filter(([m, v]) => ['convergence_s', 'disconnected_s', 'updates_sent'].includes(m.name) && v !== undefined)
    .map(([m, v]) => `${m.title.toLowerCase()} ${digits(v, 1)} ${m.unit}`);
  byId('run-about').replaceChildren(
    ...(run.valid ? [] : [html('span', { class: 'badge invalidating', text: 'invalid: left out of the figures' }), ' ']),
    figures.join(', '));
}

/// Shows an instant: the one place where the picture changes.
function seek(t) {
  const { course } = player;
  player.t = clamp(t, course.start, course.end);
  const now = stateAt(course, player.t);
  showStage(now);
  showStrips(player.t);
  byId('bar').value = player.t;
  byId('bar').setAttribute('aria-valuetext', secondsOf(player.t));
  byId('time').textContent = secondsOf(player.t);
  byId('here').href = `#replay=${encodeURIComponent(data.runs[player.run].id)}@${player.t / 1e6}`;
  const counts = [0, 0, 0, 0];
  for (const { state } of now.stands) counts[state] += 1;
  counts.forEach((count, state) => { byId('states').rows[state].cells[2].textContent = count; });
  const items = byId('moments').children;
  let last = -1;
  course.moments.forEach((moment, i) => {
    const past = moment.t <= player.t;
    if (past) last = i;
    items[i].classList.toggle('past', past);
    items[i].classList.remove('last');
  });
  if (last >= 0) {
    items[last].classList.add('last');
    const list = byId('moments');
    list.scrollTop = items[last].offsetTop - list.offsetTop - list.clientHeight / 2;
  }
  tellWay(now);
}

function tellWay(now) {
  byId('chosen').textContent = '';
  if (stage.chosen === null) return;
  const { nodes } = player.course.network;
  const way = wayFrom(now.stands, stage.chosen).map((node) => nodes[node][0]);
  byId('chosen').textContent = `${way.join(' → ')}: ${STATE_WORDS[now.stands[stage.chosen].state]}.`;
}

function chooseRouter(router) {
  stage.chosen = router;
  byId('router').value = router ?? '';
  setStrips(player.course, router);
  seek(player.t);
}

/// The change after the instant shown, or the one before it.
function step(onwards) {
  const { stops } = player.course;
  pause();
  const t = onwards ? stops.find((s) => s > player.t + 0.5) : stops.findLast((s) => s < player.t - 0.5);
  seek(t ?? (onwards ? player.course.end : player.course.start));
  say();
}

function say() {
  const counts = [...byId('states').rows].map((row) => `${row.cells[2].textContent} ${row.cells[1].textContent}`);
  byId('said').textContent = `${secondsOf(player.t)}: ${counts.join(', ')}`;
}

function pause() {
  player.playing = false;
  showPlaying();
}

function play() {
  if (player.t >= player.course.end) seek(player.course.start);
  player.playing = true;
  player.last = performance.now();
  showPlaying();
  requestAnimationFrame(tick);
}

function showPlaying() {
  const button = byId('play');
  button.setAttribute('aria-pressed', player.playing);
  button.querySelector('path').setAttribute('d', player.playing ? 'M3 1h4v14H3ZM9 1h4v14H9Z' : 'M3 1v14L14 8Z');
  button.querySelector('span').textContent = player.playing ? 'Pause' : 'Play';
}

function tick(now) {
  if (!player.playing) return;
  // A page that was in the background does not leap.
  const passed = clamp(now - player.last, 0, 100);
  player.last = now;
  seek(player.t + passed * 1000 * Number(byId('speed').value));
  if (player.t >= player.course.end) pause();
  else requestAnimationFrame(tick);
}

/// Opens the replay that the page's address names: `#replay=RUN` or `#replay=RUN@SECONDS`.
function follow() {
  const match = /^#replay=([^@]+)(?:@(-?[\d.]+))?$/.exec(location.hash);
  const number = match ? numberOfRun.get(decodeURIComponent(match[1])) : undefined;
  if (number === undefined || !data.runs[number].replay) return;
  load(number, match[2] === undefined ? null : Number(match[2]) * 1e6);
  byId('replay').scrollIntoView();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onControl = ['SELECT', 'BUTTON'].includes(event.target.tagName);
  const act = {
    ' ': onControl ? null : () => (player.playing ? pause() : play()),
    ArrowRight: () => (event.shiftKey ? leap(1e6) : step(true)),
    ArrowLeft: () => (event.shiftKey ? leap(-1e6) : step(false)),
    Home: () => { pause(); seek(0); say(); },
    End: () => { pause(); seek(player.course.end); say(); },
    Escape: () => chooseRouter(null),
  }[event.key];
  if (!act || (event.target.tagName === 'SELECT')) return;
  act();
  event.preventDefault();
}

function leap(us) {
  pause();
  seek(player.t + us);
  say();
}

function chooser() {
  const groups = new Map();
  for (const number of replayable) {
    const run = data.runs[number];
    const arm = run.arm === null ? 'no arm' : data.arms[run.arm].label;
    if (!groups.has(arm)) groups.set(arm, html('optgroup', { label: arm }));
    const convergence = valueOf(number, 'convergence_s');
    const words = [run.id, convergence === undefined ? '' : `${digits(convergence, 1)} s`, run.valid ? '' : 'invalid'];
    groups.get(arm).append(html('option', { value: number, text: words.filter(Boolean).join(' · ') }));
  }
  byId('run').append(...groups.values());
  byId('states').tBodies[0].append(...STATES.map((name, state) => html('tr', {},
    html('td', {}, svg('svg', { width: 26, height: 26, viewBox: '0 0 44 44', 'aria-hidden': 'true' },
      svg('g', { class: 'router', 'data-state': name }, svg('path', { class: 'shape', d: outline(state, 22, 22) })))),
    html('td', { text: STATE_WORDS[state] }), html('td', { class: 'number' }))));
}

/// The run to begin with: of the first arm that has one, that of the median convergence.
function typical() {
  const valid = replayable.filter((number) => data.runs[number].valid);
  const arm = Math.min(...valid.map((number) => data.runs[number].arm));
  const runs = valid.filter((number) => data.runs[number].arm === arm)
    .sort((a, b) => valueOf(a, 'convergence_s') - valueOf(b, 'convergence_s'));
  return runs[(runs.length - 1) >> 1] ?? replayable[0];
}

function wire() {
  byId('run').addEventListener('change', (event) => load(Number(event.target.value)));
  const other = (by) => {
    const at = replayable.indexOf(player.run);
    load(replayable[(at + by + replayable.length) % replayable.length]);
  };
  byId('run-before').addEventListener('click', () => other(-1));
  byId('run-after').addEventListener('click', () => other(1));
  byId('router').addEventListener('change', (event) => chooseRouter(event.target.value === '' ? null : Number(event.target.value)));
  byId('play').addEventListener('click', () => (player.playing ? pause() : play()));
  byId('step-back').addEventListener('click', () => step(false));
  byId('step-on').addEventListener('click', () => step(true));
  byId('bar').addEventListener('input', (event) => { pause(); seek(Number(event.target.value)); });
  byId('replay').addEventListener('keydown', keys);
  const drag = (event) => {
    const box = strips.box.getBoundingClientRect();
    pause();
    seek(xToTime(((event.clientX - box.left) / box.width) * strips.width));
  };
  strips.box.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    strips.box.setPointerCapture(event.pointerId);
    drag(event);
    byId('bar').focus({ preventScroll: true });
    event.preventDefault();
  });
  strips.box.addEventListener('pointermove', (event) => { if (strips.box.hasPointerCapture(event.pointerId)) drag(event); });
  addEventListener('hashchange', follow);
  new ResizeObserver(() => {
    if (Math.abs(strips.box.parentElement.clientWidth - 2 - strips.width) < 2 || strips.box.parentElement.clientWidth < 302) return;
    setStrips(player.course, stage.chosen);
    showStrips(player.t);
  }).observe(strips.box.parentElement);
}

if (replayable.length > 0) {
  byId('replay').hidden = false;
  chooser();
  load(typical());
  wire();
  follow();
}
