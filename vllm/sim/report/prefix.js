"use strict";
// Draws the charts of the page as SVG, at the width that there is, and again when it changes.
const runs = JSON.parse(document.getElementById("runs").textContent);
const colour = (at) => `var(--c${at % 6})`;
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const seconds = (s) => (s >= 3600 ? `${+(s / 3600).toPrecision(3)} h` : s >= 60 ? `${+(s / 60).toPrecision(3)} min`
  : s >= 1 || s === 0 ? `${+s.toPrecision(3)} s` : `${+(1000 * s).toPrecision(3)} ms`);
const amount = (n) => (n >= 1e9 ? `${+(n / 1e9).toPrecision(3)}G` : n >= 1e6 ? `${+(n / 1e6).toPrecision(3)}M`
  : n >= 1e4 ? `${+(n / 1e3).toPrecision(3)}k` : `${+(+n).toPrecision(4)}`);

const SVG = "http://www.w3.org/2000/svg";
function shape(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function element(parent, name, text, kind) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) node.textContent = text;
  if (kind) node.className = kind;
  parent.append(node);
  return node;
}

const tip = document.getElementById("tip");
function told(node, text) {
  node.addEventListener("pointermove", (event) => {
    tip.textContent = typeof text === "function" ? text(event) : text;
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
  });
  node.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// Round numbers from 0 to at least `high`.
function ticks(high, count) {
  if (!(high > 0)) return [0, 1];
  const rough = high / count, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * ten).find((s) => s >= rough);
  const found = [];
  for (let at = 0; at < high + step * 0.999; at += step) found.push(+at.toPrecision(12));
  return found;
}

// Round times from 0 to at most `high` seconds.
function timeTicks(high) {
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 43200, 86400];
  const step = high < 5 ? 0 : steps.find((s) => high / s <= 7) ?? 86400 * Math.ceil(high / 604800);
  if (!step) return ticks(high, 5).filter((t) => t <= high);
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, at) => at * step);
}

class Plot {
  // `y` is the largest value, or null for shares from 0 to 1.
  constructor(place, height, y, form) {
    place.replaceChildren();
    if (runs.length > 1) {
      const legend = element(place, "div", null, "legend");
      runs.forEach((run, at) => {
        const item = element(legend, "span");
        element(item, "i").style.background = colour(at);
        item.append(run.name);
      });
    }
    this.width = Math.max(280, place.clientWidth);
    this.height = height;
    this.left = 46; this.right = this.width - 10; this.top = 8; this.bottom = height - 34;
    this.svg = shape(place, "svg", { viewBox: `0 0 ${this.width} ${height}` });
    const marks = y === null ? [0, 0.25, 0.5, 0.75, 1] : ticks(y, 4);
    this.high = y === null ? 1 : marks[marks.length - 1];
    for (const mark of marks) {
      const at = this.y(mark);
      shape(this.svg, "line", { class: "axis", x1: this.left, x2: this.right, y1: at, y2: at });
      shape(this.svg, "text", { x: this.left - 6, y: at + 4, "text-anchor": "end" }, form(mark));
    }
  }
  y(value) { return this.bottom - (value / this.high) * (this.bottom - this.top); }
  x(share) { return this.left + share * (this.right - this.left); }
  // Labels below: `[share of the width, text]`, as many as there is room for.
  below(labels, title) {
    const width = Math.max(...labels.map(([, text]) => text.length)) * 7 + 14;
    let free = -Infinity;
    for (const [share, text] of labels) {
      const at = this.x(share), end = at > this.right - 20;
      if (at - free < width) continue;
      shape(this.svg, "text", { x: at, y: this.bottom + 16, "text-anchor": end ? "end" : "middle" }, text);
      free = at;
    }
    shape(this.svg, "text", { x: (this.left + this.right) / 2, y: this.height - 2, "text-anchor": "middle" }, title);
  }
  line(points, at, width = 2) {
    const path = points.map(([x, y], i) => `${i ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`);
    // Runs without caching often lie upon those with it: dots let both be seen.
    const dash = runs[at].prefix_caching ? "none" : "2 4";
    shape(this.svg, "path", {
      d: path.join(""), fill: "none", stroke: colour(at), "stroke-width": width, "stroke-dasharray": dash,
    });
  }
  // One group of bars for each label, one bar a run. `shown` turns a value into words.
  bars(groups, shown) {
    const room = (this.right - this.left) / groups.length, thick = Math.min(26, (room * 0.84) / runs.length);
    groups.forEach(({ label, values }, group) => values.forEach((value, at) => {
      const x = this.left + room * (group + 0.5) + (at - runs.length / 2) * thick;
      const bar = shape(this.svg, "rect", {
        x, width: Math.max(1, thick - 1), y: this.y(value), height: Math.max(0, this.bottom - this.y(value)), fill: colour(at), rx: 1.5,
      });
      told(bar, `${runs[at].name}\n${label}: ${shown(value)}`);
    }));
  }
  // A reading line under the pointer: `read(share of the width)` gives the words.
  reading(read) {
    const mark = shape(this.svg, "line", { class: "axis", y1: this.top, y2: this.bottom, visibility: "hidden" });
    const field = shape(this.svg, "rect", {
      x: this.left, y: this.top, width: this.right - this.left, height: this.bottom - this.top, fill: "transparent",
    });
    told(field, (event) => {
      const box = field.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      mark.setAttribute("x1", this.x(share)); mark.setAttribute("x2", this.x(share));
      mark.setAttribute("visibility", "visible");
      return read(share);
    });
  }
}

// The last point at or before x, in sorted points.
function before(points, x) {
  let low = 0, high = points.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (points[middle][0] <= x) low = middle; else high = middle - 1;
  }
  return points[low];
}

function drawCurve(place) {
  const curves = runs.map((run) => run.cache_curve);
  const most = Math.max(1, ...curves.map((curve) => (curve ? curve.blocks_for_share_of_possible_hits["1"].blocks : 0)));
  const plot = new Plot(place, 320, null, (share) => percent(share, 0));
  const wide = most * 1.03;
  curves.forEach((curve, at) => {
    if (!curve) return;
    plot.line([...curve.points.map(([n, rate]) => [n / wide, rate]), [1, curve.possible_hit_rate]], at, 2.5);
    const needed = curve.blocks_for_share_of_possible_hits["0.9"];
    shape(plot.svg, "path", {
      d: `M${plot.x(needed.blocks / wide)} ${plot.bottom}V${plot.y(needed.hit_rate)}H${plot.left}`,
      fill: "none", stroke: colour(at), "stroke-dasharray": "4 4", opacity: 0.8,
    });
    const run = runs[at], size = Math.min((run.num_gpu_blocks - 1) / wide, 1);
    shape(plot.svg, "circle", {
      cx: plot.x(size), cy: plot.y(run.prefix_cache_hit_rate), r: 5.5, fill: "var(--card)", stroke: colour(at), "stroke-width": 2.5,
    });
  });
  plot.below(ticks(wide, 6).filter((n) => n <= wide).map((n) => [n / wide, amount(n)]), "blocks in the cache");
  plot.reading((share) => {
    const blocks = Math.round(share * wide);
    return [`${amount(blocks)} blocks`, ...runs.flatMap((run, at) => {
      if (!curves[at]) return [];
      const gib = (blocks * run.bytes_per_block) / 2 ** 30;
      return [`${run.name}: ${percent(before(curves[at].points, blocks)[1])}, ${+gib.toPrecision(3)} GiB`];
    })].join("\n");
  });
}

function drawShares(place) {
  const of = (run) => run.sharing_fraction;
  const share = (run, bin) => of(run).histogram.counts[bin] / Math.max(1, of(run).count);
  const groups = of(runs[0]).histogram.counts.map((_, bin) => ({
    label: `${5 * bin} to ${5 * bin + 5} % of the prompt`, values: runs.map((run) => share(run, bin)),
  }));
  const plot = new Plot(place, 240, Math.max(...groups.flatMap((group) => group.values)), (v) => percent(v, 0));
  plot.bars(groups, (value) => `${percent(value)} of the requests`);
  plot.below([0, 0.25, 0.5, 0.75, 1].map((at) => [at, percent(at, 0)]), "of the prompt shared");
}

function drawHits(place) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.block_hit_count.blocks_with_hits)))];
  names.sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
  // From 1 to the largest on a logarithmic scale: a few blocks have most of the hits.
  const count = (run, name) => run.block_hit_count.blocks_with_hits[name] ?? 0;
  const top = Math.log10(Math.max(10, ...runs.flatMap((run) => names.map((name) => count(run, name)))));
  const plot = new Plot(place, 240, Math.ceil(top), (mark) => (Number.isInteger(mark) ? amount(10 ** mark) : ""));
  const groups = names.map((name) => ({
    label: `${name} hits`, values: runs.map((run) => (count(run, name) ? Math.max(0.06, Math.log10(count(run, name))) : 0)),
  }));
  plot.bars(groups, (value) => `${value ? amount(Math.round(10 ** (value === 0.06 ? 0 : value))) : 0} blocks`);
  plot.below(names.map((name, at) => [(at + 0.5) / names.length, name.split("-")[0]]), "hits, from this number to below the next");
}

function drawGaps(place) {
  const edges = runs.map((run) => run.reuse_gap_s.histogram.edges);
  const longest = Math.max(...edges.map((each) => each[each.length - 1])), low = Math.log10(0.001);
  const at = (s) => (s < 0.001 ? 0 : 0.02 + (0.98 * (Math.log10(s) - low)) / (Math.log10(longest) - low));
  const lines = runs.map((run) => {
    const { edges: ends, counts } = run.reuse_gap_s.histogram;
    let sum = 0;
    const all = Math.max(1, run.reuse_gap_s.count);
    return counts.map((count, bin) => [at(ends[bin + 1]), (sum += count) / all]);
  });
  const plot = new Plot(place, 240, null, (share) => percent(share, 0));
  lines.forEach((line, run) => { if (runs[run].reuse_gap_s.count) plot.line([[0, 0], ...line], run); });
  const marks = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000].filter((s) => s <= longest);
  plot.below(marks.map((s) => [at(s), seconds(s)]), "gap at most this long");
  plot.reading((share) => {
    const gap = share < 0.02 ? 0 : 10 ** (low + ((share - 0.02) / 0.98) * (Math.log10(longest) - low));
    return [`at most ${seconds(gap)}`, ...runs.map((run, r) => `${run.name}: ${run.reuse_gap_s.count ? percent(before(lines[r], share)[1]) : "no reuse"}`)].join("\n");
  });
}

function drawTime(place, key, high, form) {
  const last = Math.max(...runs.map((run) => run.over_time.time_s[run.over_time.time_s.length - 1]));
  const lines = runs.map((run) => run.over_time.time_s.map((t, i) => [t / last, run.over_time[key][i]]).filter(([, v]) => v !== null));
  const plot = new Plot(place, 240, high === 1 ? null : Math.max(1, ...lines.flat().map(([, v]) => v)), form);
  lines.forEach((line, at) => plot.line(line, at));
  plot.below(timeTicks(last).map((t) => [t / last, seconds(t)]), "time of the run");
  plot.reading((share) => [seconds(share * last), ...runs.map((run, at) => `${run.name}: ${form(before(lines[at], share)[1])}`)].join("\n"));
}

function drawCards() {
  const cards = document.getElementById("cards");
  runs.forEach((run, at) => {
    const card = element(cards, "div", null, "card");
    card.style.setProperty("--colour", colour(at));
    element(card, "span", run.name);
    element(card, "b", percent(run.prefix_cache_hit_rate));
    const saved = run.prefill_seconds_saved === null ? "" : `, ${seconds(run.prefill_seconds_saved)} of prefill`;
    element(card, "span", `of ${amount(run.prompt_tokens)} prompt tokens in ${amount(run.total_requests)} requests shared${saved}`);
  });
}

function drawHottest() {
  const place = document.getElementById("hottest");
  for (const run of runs) {
    if (!run.hottest_blocks.length) continue;
    element(place, "h3", run.name);
    const table = element(element(place, "div", null, "scroll"), "table");
    const head = element(element(table, "thead"), "tr");
    for (const name of ["hits", "place in the prompt", "first in line", "what it holds"]) {
      element(head, "th", name).style.textAlign = name.startsWith("what") ? "left" : "right";
    }
    const body = element(table, "tbody");
    for (const block of run.hottest_blocks.slice(0, 12)) {
      const row = element(body, "tr");
      element(row, "td", block.hits.toLocaleString("en"));
      element(row, "td", block.place);
      element(row, "td", block.line);
      element(row, "td", block.text ?? `block ${block.hash}`, "text");
    }
  }
}

function draw() {
  const at = (id) => document.getElementById(id);
  drawCurve(at("curve"));
  drawShares(at("sharing"));
  drawHits(at("hits"));
  drawGaps(at("gaps"));
  drawTime(at("rate"), "cumulative_hit_rate", 1, (share) => percent(share, 0));
  drawTime(at("cached"), "cached_blocks", 0, amount);
  drawTime(at("used"), "used_blocks", 0, amount);
}

drawCards();
drawHottest();
draw();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) { width = innerWidth; draw(); }
});
