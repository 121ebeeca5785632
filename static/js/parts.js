// Parts that several panels share: lists of facts, severity marks, lines with a mark, times, the pool meter.
import { el, setAttr, setText, svg } from "./dom.js";
import { icon, iconSlot } from "./icons.js";
import { clockTime, exactTime, instant } from "./format.js";

/** Tones of the four severities. */
export const SEVERITIES = { critical: "bad", high: "bad", medium: "warn", low: "info" };

/** A `<dl>` with one value for each `[key, label]`; `set(key, text, {tone, title, note})` fills one in. */
export function facts(...rows) {
  const node = el("dl", "facts");
  const places = new Map();
  for (const [key, label] of rows) {
    const value = document.createTextNode("–");
    const note = el("small");
    const box = el("div", "fact", el("dt", "", label), el("dd", "", value, note));
    places.set(key, { box, value, note });
    node.append(box);
  }
  const set = (key, text, { tone = null, title = null, note = "" } = {}) => {
    const place = places.get(key);
    if (place.value.data !== text) place.value.data = text;
    setText(place.note, note ? ` ${note}` : "");
    setAttr(place.box, "data-tone", tone);
    setAttr(place.box, "title", title);
  };
  return { node, set };
}

/** A severity as shape and word. An unknown word is shown as it came. */
export function severityMark(severity) {
  const word = String(severity ?? "unknown");
  const node = el("span", "severity", icon(word in SEVERITIES ? word : "unknown"), el("span", "", word));
  node.dataset.tone = SEVERITIES[word] ?? "unknown";
  return node;
}

/** A `<time>` with the exact instant as its tooltip. */
export function timeMark(text, now) {
  const node = el("time");
  const at = instant(text);
  setText(node, clockTime(at, now));
  setAttr(node, "datetime", at === null ? null : text);
  setAttr(node, "title", at === null ? null : exactTime(at));
  return node;
}

/** A line with a mark, for `reconcile`; items are `{tone, mark, what, why}`. */
export function line() {
  const slot = el("span");
  const what = el("span", "what");
  const why = el("span", "why");
  const node = el("li", "line", slot, what, why);
  const draw = iconSlot(slot);
  const update = (item) => {
    setAttr(node, "data-tone", item.tone);
    draw(item.mark ?? item.tone);
    setText(what, item.what);
    setText(why, item.why ?? "");
  };
  return { node, update };
}

/** The meter of a pool; `set({inUse, open, limit, max, waiting})` with missing members as zero. */
export function poolMeter() {
  const [open, used] = ["open", "used"].map((name) => svg("rect", { class: name, x: 0, y: 0, width: 0, height: "100%" }));
  const limit = svg("rect", { class: "limit", x: 0, y: 0, width: 2, height: "100%" });
  const node = svg("svg", { class: "meter", role: "meter", "aria-label": "Readers in use", "aria-valuemin": 0 }, open, used, limit);
  const set = (pool) => {
    const max = Math.max(pool.max ?? pool.limit ?? 0, 1);
    const share = (value) => `${Math.min(Math.max((value ?? 0) / max, 0), 1) * 100}%`;
    setAttr(open, "width", share(pool.open));
    setAttr(used, "width", share(pool.inUse));
    setAttr(limit, "x", share(pool.limit));
    setAttr(limit, "transform", "translate(-2 0)");
    setAttr(node, "data-tone", pool.waiting > 0 ? "warn" : "ok");
    setAttr(node, "aria-valuemax", max);
    setAttr(node, "aria-valuenow", pool.inUse ?? 0);
    setAttr(node, "aria-valuetext", `${pool.inUse ?? 0} in use, ${pool.open ?? 0} open, limit ${pool.limit ?? max} of ${max}`);
  };
  return { node, set };
}
