// Numbers and times as people read them. Pure: everything comes in as an argument, nothing is looked up but the
// reader's time zone. A missing or impossible value is a dash, never "NaN", "undefined" or a made-up zero.

/** What stands for a value that isn't there. */
export const NONE = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const rounded = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });

/** Fewer decimals the larger it is: 0.42, 4.2, 42, 4,200. */
function significant(value) {
  const size = Math.abs(value);
  return rounded(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** A whole number with separators. */
export const count = (value) => (isNumber(value) ? rounded(value, 0) : NONE);

/** A rate or another fractional number. */
export const decimal = (value) => (isNumber(value) ? significant(value) : NONE);

/** A share between 0 and 1 as percent. */
export function percent(value) {
  if (!isNumber(value)) return NONE;
  const shown = value * 100;
  if (shown > 0 && shown < 0.01) return "< 0.01 %";
  return `${shown >= 10 ? rounded(shown, 0) : rounded(shown, 2)} %`;
}

/** Bytes in binary units. */
export function bytes(value) {
  if (!isNumber(value) || value < 0) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let left = value;
  while (left >= 1023.5 && unit < units.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? rounded(left, 0) : significant(left)} ${units[unit]}`;
}

/** A duration given in milliseconds, at measuring precision: 0.42 ms, 12 ms, 1.2 s, 2 min 5 s. */
export function millis(value) {
  if (!isNumber(value) || value < 0) return NONE;
  if (value < 999.5) return `${significant(value)} ms`;
  if (value < 59_950) return `${rounded(value / 1000, 1)} s`;
  return span(value / 1000);
}

/** A length of time in seconds, in its two largest units: 8 s, 2 min 5 s, 3 h 20 min, 12 d 4 h. */
export function span(seconds) {
  if (!isNumber(seconds) || seconds < 0) return NONE;
  const whole = Math.floor(seconds);
  const steps = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = steps.findIndex(([, size]) => whole >= size);
  if (first === -1) return "0 s";
  const [unit, size] = steps[first];
  const major = `${rounded(Math.floor(whole / size), 0)} ${unit}`;
  const next = steps[first + 1];
  const minor = next ? Math.floor((whole % size) / next[1]) : 0;
  return minor ? `${major} ${minor} ${next[0]}` : major;
}

/** Milliseconds since the epoch of an RFC 3339 text, or null. */
export function instant(text) {
  const at = typeof text === "string" ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : at;
}

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const clockOf = new Intl.DateTimeFormat("en", TIME);
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Local time of day; with the date when it isn't today's, and the year when it isn't this year's. */
export function clockTime(at, now) {
  if (!isNumber(at)) return NONE;
  const then = new Date(at);
  const today = new Date(now);
  const time = clockOf.format(then);
  if (then.toDateString() === today.toDateString()) return time;
  const day = then.getFullYear() === today.getFullYear() ? dayOf : yearOf;
  return `${day.format(then)}, ${time}`;
}

/** The exact time in UTC, for tooltips and details. */
export const exactTime = (at) => (isNumber(at) ? new Date(at).toISOString() : NONE);

/** `camelCase` as words: "rateLimited" is "rate limited". */
export const words = (name) => String(name).replace(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();

/** A plural without surprises: "1 call", "2 calls". */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
