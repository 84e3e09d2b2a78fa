// The report of one run.

document.getElementById("subtitle").textContent = data.subtitle;

if (data.tiles.length) {
  const box = make("div", section("Summary", "", data.incomplete), undefined, "tiles");
  for (const [label, value] of data.tiles) {
    const tile = make("div", box, undefined, "tile");
    make("b", tile, value);
    make("span", tile, label);
  }
}

if (data.latencies.length) {
  table(section("Latencies (ms)", "half"), ["", "mean", "median", "p90", "p95", "p99"],
    data.latencies);
}
if (data.confidence.length) table(section("Confidence", "half"), null, data.confidence);
for (const one of data.distributions) {
  const box = section(one.name, "half", one.note);
  distribution(box, one.name, [{ name: one.unit, colour: "--s0", ...one }]);
}

const clock = (ms) => +(ms / 1000).toPrecision(7) + " s";
const steps = data.steps;
const count = steps.start.length;
// A run whose steps take no time has only steps to draw it by.
const timeless = count > 0 && steps.start.every((at, place) => steps.end[place] <= at);
let byStep = timeless;
const from = (place) => (byStep ? steps.number[place] : steps.start[place]);
const until = (place) => (byStep ? steps.number[place] + steps.together : steps.end[place]);
const wholeRange = () => {
  const first = [], last = [];
  for (const request of data.requests.rows) for (const span of request.spans) {
    first.push(byStep ? span[3] : span[1]);
    last.push(byStep ? span[4] + 1 : span[2]);
  }
  const low = first.reduce((a, b) => Math.min(a, b), count ? from(0) : 0);
  return [low, last.reduce((a, b) => Math.max(a, b), count ? until(count - 1) : 1)];
};
const range = new Range(...wholeRange());
everyRange.push(range);

// The last step that begins at x or before.
function stepAt(x) {
  let low = 0, high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (from(middle) <= x) low = middle; else high = middle - 1;
  }
  return count && x >= from(low) && x < until(low) ? low : -1;
}

function visible(act) {
  let place = 0, after = count; // the first step that ends in the range
  while (place < after) {
    const middle = (place + after) >> 1;
    if (until(middle) < range.low) place = middle + 1; else after = middle;
  }
  for (; place < count && from(place) <= range.high; place++) act(place);
}

function describeStep(chart, x) {
  const place = stepAt(x);
  if (place < 0) return byStep ? "" : `${time(x)}: the engine is idle`;
  const s = steps, last = s.number[place] + s.together - 1;
  const total = s.used[place] + s.free[place];
  return [
    s.together > 1 ? `steps ${s.number[place]} to ${last}` : `step ${s.number[place]}`,
    `${time(s.start[place])}, ${time(s.end[place] - s.start[place])}`,
    `${short(s.prefill[place])} prefill tokens of ${short(s.prefills[place])} requests`,
    `${short(s.decode[place])} decode tokens of ${short(s.decodes[place])} requests`,
    `running ${s.running[place]}, waiting ${s.waiting[place]}`,
    `KV blocks ${s.used[place]} of ${total}`,
    s.cached[place] ? `${s.cached[place]} tokens from the prefix cache` : "",
    s.preempted[place] ? `${s.preempted[place]} preempted` : "",
    s.outside[place] ? "outside the latency model's domain" : "",
  ].filter(Boolean).join("\n");
}

// Stairs of one or two columns, the second on top of the first.
function stairs(chart, layers) {
  let highest = 0;
  visible((place) => {
    highest = Math.max(highest, layers.reduce((sum, [column]) => sum + column[place], 0));
  });
  chart.scale(highest * 1.05);
  const ground = chart.y(0);
  layers.forEach(([, name], layer) => {
    chart.pen.fillStyle = colour(name);
    visible((place) => {
      let below = 0;
      for (let lower = 0; lower < layer; lower++) below += layers[lower][0][place];
      const value = layers[layer][0][place];
      if (!value) return;
      const left = chart.pixel(from(place)), right = chart.pixel(until(place));
      const top = chart.y(below + value), bottom = below ? chart.y(below) : ground;
      chart.pen.fillRect(left, top, Math.max(right - left, 1), Math.max(bottom - top, 1));
    });
  });
}

const over = section("Over time", "",
  "Drag to zoom, double-click for all; Ctrl or Shift with the wheel; arrows, + and − on a chart." +
  (steps.together > 1 ? ` One bar stands for ${steps.together} steps.` : ""));
const { button } = zoomBar(over, range);
const axes = ["by time", "by step"].map((text, place) => button(text, text, () => {
  byStep = place === 1;
  axes.forEach((one, other) => one.setAttribute("aria-pressed", String(other === place)));
  for (const chart of range.charts) chart.format = byStep ? short : clock;
  range.reset(...wholeRange());
}));
axes[0].setAttribute("aria-pressed", String(!byStep));
axes[1].setAttribute("aria-pressed", String(byStep));

function stepChart(title, entries, layers, extra) {
  make("h3", over, title);
  legend(over, entries);
  return new Chart(over, {
    range, height: 130, label: title, format: byStep ? short : clock, describe: describeStep,
    paint(chart) { stairs(chart, layers); if (extra) extra(chart); },
  });
}

stepChart("tokens in a step", [["prefill", "--prefill"], ["decode", "--decode"]],
  [[steps.decode, "--decode"], [steps.prefill, "--prefill"]]);
stepChart("requests in a step", [["prefill", "--prefill"], ["decode", "--decode"]],
  [[steps.decodes, "--decode"], [steps.prefills, "--prefill"]]);
stepChart("queues", [["running", "--decode"], ["waiting", "--waiting"]],
  [[steps.running, "--decode"], [steps.waiting, "--waiting"]]);
stepChart("KV blocks in use, and preemptions", [["used", "--kv"], ["preemption", "--preempted"]],
  [[steps.used, "--kv"]], (chart) => {
    chart.pen.fillStyle = colour("--preempted");
    visible((place) => {
      if (!steps.preempted[place]) return;
      const x = chart.x(from(place)), y = chart.y(steps.used[place]);
      chart.pen.beginPath();
      chart.pen.moveTo(x - 6, y - 1); chart.pen.lineTo(x + 6, y - 1); chart.pen.lineTo(x, y + 11);
      chart.pen.fill();
    });
  });

// Output tokens a second, in equal pieces of what is shown. A step's tokens count evenly from its
// start to its end.
function pieces(chart) {
  const wide = Math.max(1, Math.floor((chart.width - MARGIN.left) / 6));
  const tokens = new Float64Array(wide), busy = new Float64Array(wide);
  const size = (range.high - range.low) / wide;
  visible((place) => {
    const low = from(place), whole = until(place) - low;
    const first = Math.max(0, Math.floor((low - range.low) / size));
    const last = Math.min(wide - 1, Math.floor((low + whole - range.low) / size));
    for (let piece = first; piece <= last; piece++) {
      const left = range.low + piece * size;
      const share = whole ? (Math.min(left + size, low + whole) - Math.max(left, low)) / whole : 1;
      tokens[piece] += share * steps.sampled[place];
      busy[piece] += share * (steps.end[place] - steps.start[place]);
    }
  });
  return { size, rates: tokens.map((sum, at) => {
    const ms = byStep ? busy[at] : size;
    return ms ? sum / ms * 1000 : 0;
  }) };
}
make("h3", over, "output tokens a second");
new Chart(over, {
  range, height: 130, label: "output tokens a second",
  format: byStep ? short : clock,
  paint(chart) {
    const { size, rates } = pieces(chart);
    chart.scale(Math.max(...rates) * 1.05);
    chart.pen.fillStyle = colour("--s4");
    rates.forEach((rate, at) => {
      const left = chart.pixel(range.low + at * size);
      const right = chart.pixel(range.low + (at + 1) * size);
      chart.pen.fillRect(left, chart.y(rate), right - left, chart.y(0) - chart.y(rate));
    });
  },
  describe(chart, x) {
    const { size, rates } = pieces(chart);
    const rate = rates[Math.floor((x - range.low) / size)];
    return rate === undefined ? "" : `${short(rate)} tokens/s`;
  },
});

const STATES = ["waiting", "prefill", "decode", "preempted", "stalled"];
const rows = data.requests.rows;
if (rows.length) {
  const box = section("Requests", "", data.requests.note);
  legend(box, STATES.map((state) => [state, "--" + state]));
  zoomBar(box, range);
  const ROW = rows.length > 60 ? 9 : 16;
  const span = (one) => (byStep ? [one[3], one[4] + 1] : [one[1], one[2]]);
  new Chart(make("div", box, undefined, "tall"), {
    range, height: rows.length * ROW + MARGIN.top + MARGIN.bottom, label: "requests",
    format: byStep ? short : clock,
    paint(chart) {
      const pen = chart.pen;
      pen.restore();
      pen.save();
      pen.textAlign = "right";
      pen.fillStyle = colour("--quiet");
      const every = ROW < 12 ? 5 : 1;
      rows.forEach((row, place) => {
        if (place % every === 0) {
          pen.fillText(row.id.slice(-7), MARGIN.left - 5, MARGIN.top + place * ROW + ROW * 0.75);
        }
      });
      pen.beginPath();
      pen.rect(MARGIN.left, 0, chart.width - MARGIN.left - MARGIN.right, chart.height);
      pen.clip();
      const colours = STATES.map((state) => colour("--" + state));
      const gap = rows.length > 60 ? 0 : 0.8; // between prefill chunks
      rows.forEach((row, place) => {
        for (const one of row.spans) {
          const [low, high] = span(one);
          if (high < range.low || low > range.high || high <= low) continue;
          const left = chart.pixel(low), right = chart.pixel(high);
          pen.fillStyle = colours[one[0]];
          const part = one[0] === 1 ? gap : 0;
          const wide = right - left > 4 ? right - left - part : Math.max(right - left, 1);
          pen.fillRect(left, MARGIN.top + place * ROW + 1.5, wide, ROW - 3);
        }
      });
    },
    describe(chart, x, y) {
      const row = rows[Math.floor((y - MARGIN.top) / ROW)];
      if (!row) return "";
      const one = row.spans.find((each) => x >= span(each)[0] && x < span(each)[1]);
      const lines = [row.id, ...row.facts];
      if (one) {
        lines.push("", `${STATES[one[0]]}: ${time(one[2] - one[1])} from ${time(one[1])}`);
        if (one[4] >= one[3]) lines.push(`steps ${one[3]} to ${one[4]}`);
        if (one[5]) lines.push(`${one[5]} tokens`);
      }
      return lines.join("\n");
    },
  });
}

if (data.prefix.length) {
  const box = section("Prefix sharing", "half",
    "Prompt tokens that were found in the prefix cache when a request was admitted.");
  table(box, null, data.prefix);
  if (data.shared.length) {
    table(box, ["request", "prompt tokens", "from the cache", "share"], data.shared);
  }
}
if (data.configuration.length) table(section("Configuration", "half"), null, data.configuration);
