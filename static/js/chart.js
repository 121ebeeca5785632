// Our own small SVG chart of one series: curve, gaps as gaps, a cursor for pointer and arrow keys, and a table with
// the same numbers for who can't see it. Times without data are shaded, never bridged.
import { el, setAttr, setText, show, svg } from "./dom.js";
import { clockTime, decimal, span } from "./format.js";
import { niceTop } from "./series.js";

const WIDTH = 600;
const HEIGHT = 100;
const STEPS = 60;
const TABLE_STEP_MS = 30_000;

/** A chart titled `title` of `series`, whose values are in `unit`. */
export class Chart {
  constructor(title, unit, series, { bad = false } = {}) {
    Object.assign(this, { title, unit, series, cursorAt: null, now: 0, window: 1 });
    this.read = el("span", "read");
    this.scale = el("span", "scale");
    this.none = el("span", "none", "Gathering…");
    this.gaps = svg("g");
    this.area = svg("path", { class: "area" });
    this.curve = svg("path", { class: "curve" });
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT });
    this.image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: 0 },
      this.gaps, this.area, this.curve, this.cursor);
    const plot = el("div", "chart-plot", this.image, this.scale, this.none);
    this.start = el("span");
    const axis = el("div", "chart-axis", this.start, el("span", "", "now"));
    axis.setAttribute("aria-hidden", "true");
    this.node = el("div", bad ? "chart is-bad" : "chart",
      el("div", "chart-head", el("h3", "", title), this.read), plot, axis, this.table());
    this.listen(plot);
  }

  listen(plot) {
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      this.point(this.now - this.window + ((event.clientX - box.left) / box.width) * this.window);
    });
    plot.addEventListener("pointerleave", () => this.point(null));
    this.image.addEventListener("blur", () => this.point(null));
    this.image.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -this.window / STEPS, ArrowRight: this.window / STEPS }[event.key];
      if (step === undefined && event.key !== "Escape") return;
      event.preventDefault();
      if (step === undefined) return this.point(null);
      const moved = (this.cursorAt ?? this.now) + step;
      this.point(Math.min(Math.max(moved, this.now - this.window), this.now));
    });
  }

  table() {
    this.rows = el("tbody");
    const head = el("tr", "", ...["Time", this.unit].map((name) => {
      const cell = el("th", "", name);
      cell.scope = "col";
      return cell;
    }));
    const scroll = el("div", "chart-scroll", el("table", "chart-table", el("caption", "visually-hidden", this.title), el("thead", "", head), this.rows));
    this.details = el("details", "", el("summary", "", "As a table"), scroll);
    this.details.addEventListener("toggle", () => this.fillTable());
    return this.details;
  }

  point(at) {
    this.cursorAt = at;
    this.describe();
  }

  /** Draws the window that ends at `now`. */
  draw(now) {
    this.now = now;
    this.window = this.series.windowMs(now);
    setText(this.start, `${span(this.window / 1000)} ago`);
    const runs = this.series.runs(now);
    const summary = this.series.summary();
    const top = niceTop(Math.max(0, ...runs.flat().map((sample) => sample.value)));
    const x = (at) => (((at - now + this.window) / this.window) * WIDTH).toFixed(1);
    const y = (value) => (HEIGHT - 2 - (value / top) * (HEIGHT - 8)).toFixed(1);
    const lines = runs.map((run) => run.map((sample) => `${x(sample.at)} ${y(sample.value)}`).join("L"));
    const dot = (run, points) => (run.length === 1 ? `M${points}h0.01` : `M${points}`);
    setAttr(this.curve, "d", runs.map((run, index) => dot(run, lines[index])).join(""));
    setAttr(this.area, "d", runs.map((run, index) => `M${x(run[0].at)} ${HEIGHT}L${lines[index]}L${x(run.at(-1).at)} ${HEIGHT}Z`).join(""));
    this.gaps.replaceChildren(...this.series.gaps(now).map((gap) =>
      svg("rect", { class: "gap", x: x(gap.from), y: 0, width: Math.max(x(gap.to) - x(gap.from), 0), height: HEIGHT })));
    setText(this.scale, summary ? `${decimal(top)} ${this.unit}` : "");
    show(this.none, this.series.samples.length < 2);
    this.describe();
    if (this.details.open) this.fillTable();
  }

  describe() {
    const summary = this.series.summary();
    const sample = this.cursorAt === null ? null : this.series.nearest(this.cursorAt);
    setAttr(this.cursor, "visibility", this.cursorAt === null ? "hidden" : "visible");
    if (this.cursorAt !== null) {
      const x = ((this.cursorAt - this.now + this.window) / this.window) * WIDTH;
      setAttr(this.cursor, "x1", x.toFixed(1));
      setAttr(this.cursor, "x2", x.toFixed(1));
    }
    const range = summary ? `now ${decimal(summary.last)}, lowest ${decimal(summary.min)}, highest ${decimal(summary.max)} ${this.unit}` : "no data yet";
    const pointed = sample ? `${decimal(sample.value)} ${this.unit} at ${clockTime(sample.at, this.now)}` : "no data at this time";
    const brief = summary ? `${decimal(summary.last)} ${this.unit} · ${decimal(summary.min)} to ${decimal(summary.max)}` : "";
    setText(this.read, this.cursorAt === null ? brief : pointed);
    setAttr(this.image, "aria-label", `${this.title}, last ${span(this.window / 1000)}: ${this.cursorAt === null ? range : pointed}`);
  }

  fillTable() {
    if (!this.details.open) return;
    const rows = [];
    let next = Infinity;
    for (const sample of this.series.samples.toReversed()) {
      if (sample.at > next) continue;
      next = sample.at - TABLE_STEP_MS;
      const time = el("th", "", clockTime(sample.at, this.now));
      time.scope = "row";
      rows.push(el("tr", "", time, el("td", "", decimal(sample.value))));
    }
    this.rows.replaceChildren(...rows);
  }
}
