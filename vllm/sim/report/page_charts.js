// Small charts on canvas: a shared horizontal range, hover, zoom. No other code is needed.

const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const tip = document.getElementById("tip");
const everyRange = [];
const MARGIN = { left: 46, right: 8, top: 8, bottom: 20 };

function make(tag, parent, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
}

function section(title, className, note) {
  const box = make("section", main, undefined, className);
  make("h2", box, title);
  if (note) make("p", box, note, "note");
  return box;
}

function table(parent, head, rows) {
  const wrap = make("div", parent, undefined, "scroll");
  const element = make("table", wrap);
  if (head) {
    const line = make("tr", make("thead", element));
    for (const cell of head) make("th", line, cell);
  }
  const body = make("tbody", element);
  for (const row of rows) {
    const line = make("tr", body);
    row.forEach((cell, place) => {
      const [text, className] = Array.isArray(cell) ? cell : [cell, head ? "" : "words"];
      make("td", line, text, place ? className : "");
    });
  }
}

function legend(parent, entries) {
  const box = make("div", parent, undefined, "legend");
  for (const [name, colour] of entries) {
    const entry = make("span", box);
    make("i", entry).style.background = `var(${colour})`;
    entry.append(name);
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function ticks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => span / one <= count);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) {
    found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
  }
  return found;
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return +(value / 1e9).toPrecision(4) + "G";
  if (size >= 1e6) return +(value / 1e6).toPrecision(4) + "M";
  if (size >= 1e4) return +(value / 1e3).toPrecision(4) + "k";
  return String(+value.toPrecision(5));
}

const time = (ms) => (ms >= 1000 ? (ms / 1000).toFixed(3) + " s" : ms.toFixed(2) + " ms");

function showTip(event, text) {
  if (!text) { tip.hidden = true; return; }
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 14 + box.width > innerWidth
    ? event.clientX - box.width - 14 : event.clientX + 14;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
}

// A horizontal range that charts share.
class Range {
  constructor(low, high) {
    this.charts = [];
    this.reset(low, high);
  }
  reset(low, high) {
    this.whole = [low, high > low ? high : low + 1];
    this.set(...this.whole);
  }
  set(low, high) {
    const [first, last] = this.whole;
    const width = Math.min(Math.max(high - low, (last - first) * 1e-6), last - first);
    this.low = Math.min(Math.max(low, first), last - width);
    this.high = this.low + width;
    this.at = null;
    this.draw();
  }
  zoom(factor, centre = (this.low + this.high) / 2) {
    this.set(centre - (centre - this.low) * factor, centre + (this.high - centre) * factor);
  }
  move(share) {
    const by = (this.high - this.low) * share;
    this.set(this.low + by, this.high + by);
  }
  point(at) {
    this.at = at;
    this.draw();
  }
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      for (const chart of this.charts) chart.draw();
    });
  }
}

// A canvas over a range. `paint(chart)` fills it, `describe(chart, x, y)` words what is there.
class Chart {
  constructor(parent, { range, height, label, paint, describe, format = short, top }) {
    Object.assign(this, { range, height, paint, describe, format, highest: top });
    this.canvas = make("canvas", parent);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.canvas.style.height = height + "px";
    this.listen();
    range.charts.push(this);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }
  get width() { return this.canvas.clientWidth; }
  x(value) {
    const inner = this.width - MARGIN.left - MARGIN.right;
    return MARGIN.left + (value - this.range.low) / (this.range.high - this.range.low) * inner;
  }
  // On whole pixels, so that neighbours touch.
  pixel(value) {
    const scale = devicePixelRatio || 1;
    return Math.round(this.x(value) * scale) / scale;
  }
  value(x) {
    const inner = this.width - MARGIN.left - MARGIN.right;
    return this.range.low + (x - MARGIN.left) / inner * (this.range.high - this.range.low);
  }
  y(value) {
    const inner = this.height - MARGIN.top - MARGIN.bottom;
    return this.height - MARGIN.bottom - value / (this.highest || 1) * inner;
  }
  draw() {
    const scale = devicePixelRatio || 1;
    if (!this.width) return;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    const pen = this.pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left, 0, this.width - MARGIN.left - MARGIN.right, this.height - MARGIN.bottom);
    pen.clip();
    this.paint(this);
    if (this.range.at !== null) {
      pen.fillStyle = colour("--quiet");
      pen.fillRect(this.x(this.range.at), 0, 1, this.height);
    }
    if (this.drag) {
      pen.globalAlpha = 0.2;
      pen.fillStyle = colour("--decode");
      pen.fillRect(this.drag[0], 0, this.drag[1] - this.drag[0], this.height);
    }
    pen.restore();
    this.axis();
  }
  axis() {
    const pen = this.pen;
    pen.fillStyle = colour("--quiet");
    pen.textAlign = "center";
    for (const at of ticks(this.range.low, this.range.high, Math.max(2, this.width / 90))) {
      pen.fillText(this.format(at), this.x(at), this.height - 6);
    }
    pen.fillStyle = colour("--line");
    pen.fillRect(MARGIN.left, this.height - MARGIN.bottom, this.width - MARGIN.left, 1);
  }
  // Lines across, with their values at the left; paint calls it first.
  scale(highest) {
    this.highest = highest || 1;
    const pen = this.pen;
    pen.restore();
    pen.save();
    pen.textAlign = "right";
    for (const at of ticks(0, this.highest, 4)) {
      pen.fillStyle = colour("--line");
      pen.fillRect(MARGIN.left, Math.round(this.y(at)), this.width - MARGIN.left - MARGIN.right, 1);
      pen.fillStyle = colour("--quiet");
      pen.fillText(short(at), MARGIN.left - 5, this.y(at) + 4);
    }
    pen.beginPath();
    pen.rect(MARGIN.left, 0, this.width - MARGIN.left - MARGIN.right, this.height - MARGIN.bottom);
    pen.clip();
  }
  listen() {
    const canvas = this.canvas;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (this.drag) this.drag[1] = x;
      this.range.point(this.value(x));
      showTip(event, this.describe ? this.describe(this, this.value(x), y) : "");
    });
    canvas.addEventListener("pointerleave", () => { this.drag = null; this.range.point(null); showTip(); });
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.range.point(null); showTip(); });
    canvas.addEventListener("pointerdown", (event) => {
      const [x, y] = place(event);
      if (event.pointerType === "mouse") this.drag = [x, x];
      showTip(event, this.describe ? this.describe(this, this.value(x), y) : "");
    });
    canvas.addEventListener("pointerup", () => {
      const drag = this.drag;
      this.drag = null;
      if (drag && Math.abs(drag[1] - drag[0]) > 4) {
        const [low, high] = drag.map((x) => this.value(x)).sort((a, b) => a - b);
        this.range.set(low, high);
      } else this.range.draw();
    });
    canvas.addEventListener("dblclick", () => this.range.set(...this.range.whole));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey) return; // the page scrolls
      event.preventDefault();
      const turn = event.deltaY || event.deltaX;
      this.range.zoom(turn > 0 ? 1.25 : 0.8, this.value(place(event)[0]));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const acts = {
        ArrowLeft: () => this.range.move(-0.2), ArrowRight: () => this.range.move(0.2),
        "+": () => this.range.zoom(0.6), "-": () => this.range.zoom(1.6),
        Escape: () => this.range.set(...this.range.whole),
      };
      if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
    });
  }
}

function zoomBar(parent, range) {
  const bar = make("div", parent, undefined, "bar");
  const button = (text, label, act) => {
    const element = make("button", bar, text);
    element.type = "button";
    element.setAttribute("aria-label", label);
    element.addEventListener("click", act);
    return element;
  };
  button("+", "zoom in", () => range.zoom(0.5));
  button("−", "zoom out", () => range.zoom(2));
  button("◀", "earlier", () => range.move(-0.5));
  button("▶", "later", () => range.move(0.5));
  button("all", "show the whole run", () => range.set(...range.whole));
  return { bar, button };
}

// Cumulative distributions: series of {name, colour, values, shares}, values ascending.
function distribution(parent, label, series) {
  const drawn = series.filter((one) => one.values.length);
  if (!drawn.length) { make("p", parent, "no samples", "note"); return; }
  const highest = Math.max(...drawn.map((one) => one.values[one.values.length - 1]));
  const shareAt = (one, x) => {
    let share = 0;
    for (let place = 0; place < one.values.length && one.values[place] <= x; place++) {
      share = one.shares[place];
    }
    return share;
  };
  const range = new Range(0, highest * 1.02);
  everyRange.push(range);
  // A few stragglers would press everything else against the axis.
  const most = Math.max(...drawn.map((one) => one.values[one.shares.findIndex((s) => s >= 0.99)]));
  if (highest > 2 * most) {
    range.set(0, most * 1.3);
    make("p", parent, `up to ${time(most * 1.3)}; double-click for all, to ${time(highest)}`, "note");
  }
  new Chart(parent, {
    range, height: 190, label, top: 1,
    paint(chart) {
      chart.scale(1);
      for (const one of drawn) {
        const pen = chart.pen;
        pen.strokeStyle = colour(one.colour);
        pen.lineWidth = 1.8;
        pen.beginPath();
        pen.moveTo(chart.x(0), chart.y(0));
        let share = 0;
        one.values.forEach((value, place) => {
          pen.lineTo(chart.x(value), chart.y(share));
          share = one.shares[place];
          pen.lineTo(chart.x(value), chart.y(share));
        });
        pen.lineTo(chart.x(chart.range.high), chart.y(1));
        pen.stroke();
      }
    },
    describe: (chart, x) => [
      x < 0 ? "" : `at most ${time(x)}:`,
      ...drawn.map((one) => `${(100 * shareAt(one, x)).toFixed(1)} % ${one.name}`),
    ].join("\n"),
  });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  dispatchEvent(new Event("recolour"));
});
addEventListener("recolour", () => everyRange.forEach((range) => range.draw()));
