// Samples gathered while the page is open: a bounded window of `{at, value}` with the gaps left as gaps. Pure.

/** The lengths of time that are shown: the shortest that holds everything, and at most the last, which is kept. */
const WINDOWS_MS = [60_000, 120_000, 300_000, 600_000];
const KEPT_MS = WINDOWS_MS.at(-1);
// The slowest regular source is polling every 5 s; a longer pause means that nothing was measured.
const GAP_MS = 12_000;
// States come every 2 s; more often only while polling and the stream overlap.
const CLOSEST_MS = 900;

/** One measured quantity over the last ten minutes. */
export class Series {
  constructor() {
    this.samples = [];
  }

  /** Adds a measurement; anything but a number is left out and becomes a gap. */
  add(at, value) {
    if (typeof value !== "number" || !Number.isFinite(value)) return;
    const last = this.samples.at(-1);
    if (last && at - last.at < CLOSEST_MS) return;
    this.samples.push({ at, value });
    while (this.samples.length && this.samples[0].at < at - KEPT_MS) this.samples.shift();
  }

  /** The length of time to show at `now`. */
  windowMs(now) {
    const age = this.samples.length ? now - this.samples[0].at : 0;
    return WINDOWS_MS.find((window) => window >= age) ?? KEPT_MS;
  }

  /** The samples of the window that ends now, cut into runs without gaps. */
  runs(now) {
    const runs = [];
    let last = null;
    for (const sample of this.samples) {
      if (sample.at < now - KEPT_MS) continue;
      if (last === null || sample.at - last.at > GAP_MS) runs.push([]);
      runs.at(-1).push(sample);
      last = sample;
    }
    return runs;
  }

  /** Times between two runs, and from the last run until now when nothing comes any more. */
  gaps(now) {
    const runs = this.runs(now);
    const gaps = runs.slice(1).map((run, index) => ({ from: runs[index].at(-1).at, to: run[0].at }));
    const last = runs.at(-1)?.at(-1);
    if (last && now - last.at > GAP_MS) gaps.push({ from: last.at, to: now });
    return gaps;
  }

  /** The sample closest to a time, or null when that time lies in a gap. */
  nearest(at) {
    let best = null;
    for (const sample of this.samples) {
      if (best === null || Math.abs(sample.at - at) < Math.abs(best.at - at)) best = sample;
    }
    return best && Math.abs(best.at - at) <= GAP_MS / 2 ? best : null;
  }

  /** Lowest, highest and newest value, or null without samples. */
  summary() {
    if (!this.samples.length) return null;
    const values = this.samples.map((sample) => sample.value);
    return { min: Math.min(...values), max: Math.max(...values), last: values.at(-1) };
  }
}

/** The top of a scale: the next 1, 2 or 5 times a power of ten, at least `floor`. */
export function niceTop(max, floor = 1) {
  const target = Math.max(max, floor);
  const power = 10 ** Math.floor(Math.log10(target));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= target * 0.999) ?? target;
}
