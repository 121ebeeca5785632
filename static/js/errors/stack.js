// The stack of an exception as a developer reads it: innermost call first, the application's own frames open with their
// source, runs of library frames folded away. Everything in a frame came from outside: text, never markup.
import { el, setAttr } from "../dom.js";
import { plural } from "../format.js";

const MOST_FRAMES = 60;

/** The frames of one exception, or null when it has none. */
export function stackOf(exception) {
  const frames = (Array.isArray(exception?.frames) ? exception.frames : []).filter((frame) => typeof frame === "object" && frame !== null).reverse();
  if (!frames.length) return null;
  const list = el("ol", "stack-frames");
  const first = frames.findIndex(isOwn);
  const shown = frames.slice(0, Math.max(MOST_FRAMES, first + 1));
  let fold = [];
  const close = () => {
    if (fold.length) list.append(folded(fold));
    fold = [];
  };
  shown.forEach((frame, index) => {
    if (first !== -1 && !isOwn(frame)) return fold.push(frame);
    close();
    list.append(frameOf(frame, index === Math.max(first, 0)));
  });
  close();
  const left = frames.length - shown.length;
  if (left > 0) list.append(el("li", "muted", `and ${plural(left, "more frame")}`));
  return list;
}

const isOwn = (frame) => frame.inApp !== false;

function folded(frames) {
  if (frames.length === 1) return frameOf(frames[0], false);
  const inner = el("ol", "", ...frames.map((frame) => frameOf(frame, false)));
  return el("li", "fold", el("details", "", el("summary", "", `${plural(frames.length, "frame")} of libraries`), inner));
}

/** One frame; `open` shows its source at once. */
function frameOf(frame, open) {
  const head = el("span", "frame-head", el("span", "frame-function", functionOf(frame)), " ", el("span", "frame-place", placeOf(frame)));
  setAttr(head, "title", frame.absPath ?? frame.module ?? null);
  const source = sourceOf(frame);
  const node = el("li", "frame");
  setAttr(node, "data-own", isOwn(frame) ? "" : null);
  if (!source) {
    node.append(head);
    return node;
  }
  const box = el("details", "", el("summary", "", head), source);
  box.open = open;
  node.append(box);
  return node;
}

function functionOf(frame) {
  const name = String(frame.function ?? "");
  return name || "(unnamed)";
}

/** File and line, with the module where there is no file. */
export function placeOf(frame) {
  const file = frame.file ?? frame.module ?? "";
  const place = [file, frame.line, frame.column].filter((part) => part !== undefined && part !== null && part !== "");
  return place.join(":");
}

function sourceOf(frame) {
  const context = frame.context;
  if (typeof context?.line !== "string" || context.line === "") return null;
  const before = Array.isArray(context.before) ? context.before : [];
  const after = Array.isArray(context.after) ? context.after : [];
  const at = Number.isInteger(frame.line) ? frame.line : null;
  const lines = [...before, context.line, ...after].map((text, index) => {
    const number = el("span", "line-number", at === null ? "" : String(at - before.length + index));
    const line = el("span", "source-line", number, el("span", "line-text", String(text) || " "));
    if (index === before.length) line.dataset.here = "";
    return line;
  });
  return el("pre", "source", ...lines);
}
