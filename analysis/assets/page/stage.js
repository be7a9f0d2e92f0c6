// The network drawn: routers in the shape and colour of their state, arrows to their next hops, links.
//
// Assumes    a decoded course. Guarantees that an instant looks the same however it was come to.

const R = 17;
const stage = { box: byId('stage'), course: null, routers: [], hops: [], chosen: null };

/// Outline of a router by state: circle, broken circle, diamond, square.
function outline(state, x, y, r = R) {
  if (state === 3) return `M${x - r + 1} ${y - r + 1}h${2 * r - 2}v${2 * r - 2}h${2 - 2 * r}Z`;
  if (state === 2) {
    const points = [];
    for (let i = 0; i < 4; i += 1) {
      const angle = (Math.PI * i) / 2;
      points.push(`${(x + (r + 4) * Math.sin(angle)).toFixed(1)} ${(y - (r + 4) * Math.cos(angle)).toFixed(1)}`);
    }
    return `M${points.join('L')}Z`;
  }
  return `M${x - r} ${y}a${r} ${r} 0 1 1 ${2 * r} 0a${r} ${r} 0 1 1 ${-2 * r} 0Z`;
}

function linkPath(network, link) {
  const [a, b, , bend] = network.links[link];
  const [, ax, ay] = network.nodes[a];
  const [, bx, by] = network.nodes[b];
  return bend ? `M${ax} ${ay}Q${bend[0]} ${bend[1]} ${bx} ${by}` : `M${ax} ${ay}L${bx} ${by}`;
}

/// Draws what does not change while a run is shown.
function setStage(course) {
  const { network } = course;
  const box = stage.box;
  stage.course = course;
  stage.chosen = null;
  box.setAttribute('viewBox', `0 0 ${network.width} ${network.height}`);
  const of = (role) => network.links.map((_, i) => i).filter((i) => network.links[i][2] === role);
  const [, ix, iy, asn] = network.nodes.at(-1);
  const target = iy - 52;
  stage.down = svg('path', { class: 'gone', d: '' });
  stage.dead = svg('g', {});
  stage.injector = svg('g', { id: 'injector' },
    svg('title', { text: 'The injector announces the destination' }),
    svg('path', { class: 'shape', d: `M${ix - 36} ${iy - 17}h72v34h-72Z` }),
    svg('text', { x: ix, y: iy - 2, text: network.nodes.at(-1)[0] }),
    (stage.fate = svg('text', { x: ix, y: iy + 11, text: `AS ${asn}` })));
  stage.hops = course.before.map((_, router) => svg('g', { 'data-hop': network.nodes[router][0] },
    svg('path', { class: 'hop' }), svg('path', { class: 'tip' })));
  stage.routers = course.before.map((_, router) => {
    const [name, x, y, as] = network.nodes[router];
    const group = svg('g', { class: 'router', 'data-node': name },
      svg('title', {}), svg('path', { class: 'shape' }), svg('text', { x, y: y + 4, text: name }));
    group.dataset.as = as;
    group.addEventListener('click', () => chooseRouter(stage.chosen === router ? null : router));
    return group;
  });
  box.replaceChildren(
    svg('path', { class: 'peering', d: of('peering').map((l) => linkPath(network, l)).join('') }),
    ...of('backup').map((l) => svg('path', { class: 'backup', d: linkPath(network, l) })),
    ...of('primary').map((l) => svg('path', { class: 'primary', d: linkPath(network, l) })),
    svg('path', { class: 'primary', d: `M${ix} ${iy}V${target}` }),
    svg('text', { x: ix, y: target - 5, text: network.destination }),
    ...[...of('primary'), ...of('backup')].map((l) => linkLabel(network, l)),
    stage.down, stage.dead, ...stage.hops, stage.injector, ...stage.routers,
  );
}

/// The word at a link of the injector, near it and on the outer side.
function linkLabel(network, link) {
  const [a, b, role, bend] = network.links[link];
  const [, ax, ay] = network.nodes[a];
  const [, bx, by] = network.nodes[b];
  const [mx, my] = bend ?? [(ax + bx) / 2, (ay + by) / 2];
  const length = Math.hypot(mx - ax, my - ay) || 1;
  const far = Math.min(46 / length, 1);
  const left = bx < ax;
  return svg('text', {
    x: ax + (mx - ax) * far + (left ? -15 : 15), y: ay + (my - ay) * far + 6, text: role,
    class: left ? 'word-left' : 'word-right',
  });
}

/// Shows an instant.
function showStage(now) {
  const { course } = stage;
  const { network } = course;
  const way = stage.chosen === null ? [] : wayFrom(now.stands, stage.chosen);
  now.stands.forEach(({ state, next }, router) => {
    const [name, x, y] = network.nodes[router];
    const group = stage.routers[router];
    const words = `${name}, AS ${group.dataset.as}: ${STATE_WORDS[state]}${next >= 0 ? `, next hop ${network.nodes[next][0]}` : ''}`;
    if (group.dataset.state !== STATES[state]) {
      group.dataset.state = STATES[state];
      group.children[1].setAttribute('d', outline(state, x, y));
    }
    group.children[0].textContent = words;
    group.classList.toggle('chosen', stage.chosen === router);
    const [line, tip] = stage.hops[router].children;
    const onWay = way.some((node, i) => node === router && i + 1 < way.length);
    line.setAttribute('class', onWay ? 'hop way' : 'hop');
    for (const part of [line, tip]) part.dataset.state = STATES[state];
    const [d, point] = next >= 0 ? arrow(network, router, next) : ['', ''];
    line.setAttribute('d', d);
    tip.setAttribute('d', point);
    stage.hops[router].dataset.to = next >= 0 ? network.nodes[next][0] : '';
  });
  stage.down.setAttribute('d', [...now.down].map((l) => linkPath(network, l)).join(''));
  const dead = now.dead ?? null;
  if (stage.dead.dataset.link !== String(dead)) {
    stage.dead.dataset.link = String(dead);
    stage.dead.replaceChildren(...(dead === null ? [] : deadLink(network, dead)));
  }
  stage.injector.dataset.alive = now.alive ? 'yes' : 'no';
  stage.fate.textContent = now.alive ? `AS ${network.nodes.at(-1)[3]}` : 'killed';
}

/// An arrow from a router to its next hop: bent with the link if that is bent, and a little to one side, so
/// that of two routers that point at one another both are seen.
function arrow(network, from, to) {
  const link = network.links.find(([a, b]) => (a === to && b === from) || (a === from && b === to));
  const [, ax, ay] = network.nodes[from];
  const [, bx, by] = network.nodes[to];
  const [cx, cy] = link?.[3] ?? [(ax + bx) / 2, (ay + by) / 2];
  const injector = to === network.nodes.length - 1;
  const leave = towards(ax, ay, cx, cy, R + 3);
  const arrive = injector && !link?.[3] ? edge(bx, by, cx, cy) : towards(bx, by, cx, cy, (injector ? 24 : R) + 6);
  const [dx, dy] = [bx - ax, by - ay];
  const length = Math.hypot(dx, dy) || 1;
  const [sx, sy] = [(-dy / length) * 4, (dx / length) * 4];
  const [x1, y1, x2, y2] = [leave[0] + sx, leave[1] + sy, arrive[0] + sx, arrive[1] + sy];
  const control = link?.[3] ? `Q${cx} ${cy} ` : 'L';
  const angle = Math.atan2(y2 - cy - sy, x2 - cx - sx);
  const wing = (turn, far) => `${(x2 + far * Math.cos(angle + turn)).toFixed(1)} ${(y2 + far * Math.sin(angle + turn)).toFixed(1)}`;
  return [
    `M${x1.toFixed(1)} ${y1.toFixed(1)}${control}${x2.toFixed(1)} ${y2.toFixed(1)}`,
    `M${wing(0, 5)}L${wing(2.55, 9)}L${wing(-2.55, 9)}Z`,
  ];
}

function towards(x, y, tx, ty, far) {
  const length = Math.hypot(tx - x, ty - y) || 1;
  return [x + ((tx - x) / length) * far, y + ((ty - y) / length) * far];
}

/// Where a straight line from outside meets the injector's box.
function edge(x, y, fromX, fromY) {
  const [dx, dy] = [fromX - x, fromY - y];
  const scale = Math.min(41 / Math.abs(dx || 1e-9), 23 / Math.abs(dy || 1e-9), 1);
  return [x + dx * scale, y + dy * scale];
}

/// The dead link: struck out in the middle.
function deadLink(network, link) {
  const [a, b, , bend] = network.links[link];
  const [, ax, ay] = network.nodes[a];
  const [, bx, by] = network.nodes[b];
  const mid = bend ? [0.25 * ax + 0.5 * bend[0] + 0.25 * bx, 0.25 * ay + 0.5 * bend[1] + 0.25 * by] : [(ax + bx) / 2, (ay + by) / 2];
  const [x, y] = mid;
  return [
    svg('path', { class: 'gone', d: linkPath(network, link) }),
    svg('path', { class: 'cut', d: `M${x - 8} ${y - 8}l16 16m0 -16l-16 16` }, svg('title', { text: 'Traffic for the destination is lost on this link' })),
  ];
}
