// Axes: where a value lies, and which values are written at the axis.
//
// Assumes    a domain [low, high] with low < high; for `log`, low > 0.
// Guarantees on a logarithmic axis, a place for 0 too: a lane of its own left of the axis, since many
//            arms have runs in which nothing happened at all.

const LANE = 26;

function makeScale(kind, [low, high], [left, right], zeros) {
  if (kind === 'log') {
    const from = left + (zeros ? LANE : 0);
    const [a, b] = [Math.log10(low), Math.log10(high)];
    return {
      kind, zeros, from,
      place: (v) => (v > 0 ? from + ((Math.log10(v) - a) / (b - a)) * (right - from) : left + LANE / 3),
      value: (x) => (zeros && x < from - LANE / 4 ? 0 : 10 ** (a + ((Math.max(x, from) - from) / (right - from)) * (b - a))),
      ticks: [...(zeros ? [0] : []), ...logTicks(low, high)],
    };
  }
  return {
    kind, zeros: false, from: left,
    place: (v) => left + ((v - low) / (high - low)) * (right - left),
    value: (x) => low + ((x - left) / (right - left)) * (high - low),
    ticks: linearTicks(low, high, 6),
  };
}

function linearTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12); i += 1) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return linearTicks(low, high, 5);
  const within = decades < 2.5 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
    for (const m of within) {
      const v = m * 10 ** e;
      if (v >= low * 0.999 && v <= high * 1.001) ticks.push(v);
    }
  }
  return ticks;
}

/// What the axis spans when all is to be seen: as in figures/, from a little below 0.
function wholeDomain(kind, values) {
  const positive = values.filter((v) => v > 0);
  if (kind === 'log') {
    if (positive.length === 0) return [0.1, 10];
    const [low, high] = [Math.min(...positive), Math.max(...positive)];
    return low === high ? [low / 2, high * 2] : [low * 0.85, high * 1.15];
  }
  const high = Math.max(...values, 0);
  return high > 0 ? [-0.03 * high, 1.05 * high] : [-0.03, 1];
}
