// The course of a run: what page/encode.rs wrote, made into arrays that can be asked for any instant.
//
// Assumes    a replay as page/encode.rs describes it. Guarantees times in microseconds after the failure,
//            ascending; the state at an instant includes what changes at it.

/// Time shown before the failure: a twentieth of the run, at least 0.2 s and at most 2 s.
const leadOf = (end) => clamp(end / 20, 2e5, 2e6);

function decode(replay, convergence) {
  const network = data.networks[replay.network];
  const routers = replay.before.length;
  const stand = (packed) => ({ state: packed % 4, next: Math.floor(packed / 4) - 1 });
  const turns = [];
  for (let i = 0, t = 0; i < replay.turns.length; i += 2) {
    t += replay.turns[i];
    const packed = replay.turns[i + 1];
    turns.push({ t, router: packed % routers, ...stand(Math.floor(packed / routers)) });
  }
  const links = [];
  for (let i = 0; i < replay.links.length; i += 3) {
    links.push({ t: replay.links[i], link: replay.links[i + 1], down: replay.links[i + 2] === 1 });
  }
  const updates = replay.updates.map((flat) => {
    const bursts = [];
    for (let i = 0, ms = 0; i < flat.length; i += 3) {
      ms += flat[i];
      bursts.push({ t: ms * 1000, adv: flat[i + 1], wd: flat[i + 2] });
    }
    return bursts;
  });
  const moments = replay.moments.map(([t, sign, text]) => ({ t, sign, text }));
  // What the run's first figure says stands among what was seen.
  if (convergence > 0) {
    moments.push({ t: convergence * 1e6, sign: 'last', text: 'last change of a routing table: convergence' });
    moments.sort((a, b) => a.t - b.t);
  }
  const start = -leadOf(replay.end_us);
  const stops = new Set([0, replay.end_us, ...turns.map((e) => e.t), ...links.map((e) => e.t), ...moments.map((e) => e.t)]);
  return {
    network, routers, turns, links, updates, moments, start, end: replay.end_us,
    dead: replay.dead, before: replay.before.map(stand),
    // The instants at which something changes, for the steps from one to the next.
    stops: [...stops].filter((t) => t >= start && t <= replay.end_us).sort((a, b) => a - b),
  };
}

/// How every router stands at `t`, which links are down, and whether the injector's process lives.
function stateAt(course, t) {
  const stands = course.before.slice();
  for (const turn of course.turns) {
    if (turn.t > t) break;
    stands[turn.router] = turn;
  }
  const down = new Set();
  for (const { t: when, link, down: is } of course.links) {
    if (when > t) break;
    if (is) down.add(link); else down.delete(link);
  }
  let alive = true;
  for (const { t: when, sign } of course.moments) {
    if (when > t) break;
    if (sign === 'killed') alive = false;
    if (sign === 'restarted') alive = true;
  }
  return { stands, down, dead: t >= 0 ? course.dead : null, alive };
}

/// The spans of each router's states over the whole run, for the strips.
function spansOf(course) {
  const open = course.before.map(({ state }) => ({ state, from: course.start }));
  const spans = open.map(() => []);
  for (const { t, router, state } of course.turns) {
    if (state === open[router].state) continue;
    spans[router].push({ ...open[router], to: t });
    open[router] = { state, from: t };
  }
  open.forEach((span, router) => spans[router].push({ ...span, to: course.end }));
  return spans;
}

/// The way of a router's packets at an instant: nodes from it on, up to where they come in, are lost, or
/// come for the second time.
function wayFrom(stands, router) {
  const way = [router];
  for (let at = router; stands[at] && stands[at].next >= 0;) {
    at = stands[at].next;
    const again = way.includes(at);
    way.push(at);
    if (again) break;
  }
  return way;
}
