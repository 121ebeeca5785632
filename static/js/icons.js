// The page's icons, drawn here so that no font decides what they look like. Always decoration beside a word.
import { svg } from "./dom.js";

const PATHS = {
  ok: [["circle", { cx: 12, cy: 12, r: 9 }], ["path", { d: "M8 12.4l2.8 2.8L16.2 9.4" }]],
  warn: [["path", { d: "M12 3.5L22 20.5H2z" }], ["path", { d: "M12 10v4.5M12 17.4v.2" }]],
  bad: [["path", { d: "M8 3h8l5 5v8l-5 5H8l-5-5V8z" }], ["path", { d: "M9 9l6 6M15 9l-6 6" }]],
  unknown: [["circle", { cx: 12, cy: 12, r: 9, "stroke-dasharray": "3 3" }], ["path", { d: "M9.6 9.5a2.5 2.5 0 1 1 3.4 2.6c-.7.4-1 .8-1 1.7M12 16.8v.2" }]],
  half: [["circle", { cx: 12, cy: 12, r: 9 }], ["path", { d: "M12 3a9 9 0 0 1 0 18z", class: "solid" }]],
  lock: [["rect", { x: 5, y: 11, width: 14, height: 9, rx: 2 }], ["path", { d: "M8 11V8a4 4 0 0 1 8 0v3" }]],
  off: [["circle", { cx: 12, cy: 12, r: 9 }], ["path", { d: "M5.7 5.7l12.6 12.6" }]],
  info: [["circle", { cx: 12, cy: 12, r: 9 }], ["path", { d: "M12 11v5M12 7.8v.2" }]],
  critical: [["path", { d: "M12 2l10 10-10 10L2 12z", class: "solid" }]],
  high: [["path", { d: "M12 3l10 18H2z", class: "solid" }]],
  medium: [["circle", { cx: 12, cy: 12, r: 8, class: "solid" }]],
  low: [["circle", { cx: 12, cy: 12, r: 7 }]],
  chevron: [["path", { d: "M9 5l7 7-7 7" }]],
};

/** An icon by name; an unknown name gives the question mark. */
export function icon(name, className = "") {
  const parts = PATHS[name] ?? PATHS.unknown;
  const attributes = { viewBox: "0 0 24 24", class: `icon ${className}`.trim(), "aria-hidden": "true", focusable: "false" };
  return svg("svg", attributes, ...parts.map(([tag, given]) => svg(tag, given)));
}

/** A place for one icon, which is redrawn only when its name changes. */
export function iconSlot(node) {
  let shown = null;
  return (name) => {
    if (name === shown) return;
    shown = name;
    node.replaceChildren(icon(name));
  };
}
