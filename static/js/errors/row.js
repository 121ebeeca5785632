// One error event as a table row that opens to its details. Everything in an event came from outside: text, never markup.
import { el, setAttr } from "../dom.js";
import { icon } from "../icons.js";
import { exactTime, instant, NONE, plural } from "../format.js";
import { severityMark, timeMark } from "../parts.js";

const DETAILS = [
  ["id", "Id"], ["userMessage", "Told the user"], ["suggestion", "Suggestion"], ["type", "Type"], ["severity", "Severity"],
  ["path", "Path"], ["requestId", "Request id"], ["userId", "User"], ["ip", "Address"], ["groupId", "Group"], ["source", "Source"],
  ["release", "Release"], ["environment", "Environment"], ["retryable", "Worth a retry"], ["fingerprint", "Fingerprint"],
];

/** `{node, detail, event, close}` for an event; `toggled()` is called when it opens or closes. */
export function errorRow(event, now, toggled) {
  const id = `error-${event.id}`;
  const button = el("button", "open-row", icon("chevron", "chevron"), timeMark(event.timestamp, now));
  button.type = "button";
  setAttr(button, "aria-expanded", false);
  setAttr(button, "aria-label", `Details of the error at ${exactTime(instant(event.timestamp))}`);
  setAttr(button, "aria-controls", id);
  const node = el("tr", "error-row", ...cells(button, event));
  node.setAttribute("role", "row");
  node.dataset.id = event.id;
  const row = { node, event, detail: null };
  const toggle = () => {
    const open = row.detail === null;
    if (open) {
      row.detail = detailRow(event, id);
      node.after(row.detail);
    } else {
      row.detail.remove();
      row.detail = null;
    }
    setAttr(button, "aria-expanded", open);
    setAttr(node, "data-open", open ? "" : null);
    toggled();
  };
  node.addEventListener("click", (click) => {
    const selecting = !button.contains(click.target) && String(getSelection()) !== "";
    if (!selecting) toggle();
  });
  row.remove = () => {
    row.detail?.remove();
    node.remove();
  };
  return row;
}

function cells(button, event) {
  const times = event.occurrences > 1 ? el("span", "times", plural(event.occurrences, "time")) : null;
  const message = el("span", "message-text", String(event.message ?? NONE));
  const made = [
    cell("time", button),
    cell("severity-cell", severityMark(event.severity)),
    cell("type", String(event.type ?? NONE)),
    cell("message", times, message),
    cell("path mono", event.path ?? ""),
    cell("request mono", shortId(event.requestId)),
    cell("group mono", event.groupId ?? ""),
  ];
  setAttr(made[4], "title", event.path);
  setAttr(made[5], "title", event.requestId);
  return made;
}

// The roles are repeated because narrow screens lay the table out as cards, which takes a table's own roles away.
function cell(className, ...children) {
  const node = el("td", className, ...children);
  node.setAttribute("role", "cell");
  return node;
}

/** Ids begin with their time, so that the end tells them apart. */
function shortId(id) {
  const text = String(id ?? "");
  return text.length > 12 ? `…${text.slice(-8)}` : text;
}

function detailRow(event, id) {
  const list = el("dl", "detail-list");
  const add = (label, value) => list.append(el("dt", "", label), el("dd", "", value));
  add("Time", exactTime(instant(event.timestamp)));
  add("Message", String(event.message ?? NONE));
  for (const [name, label] of DETAILS) {
    if (event[name] !== undefined && event[name] !== null && event[name] !== "") add(label, plain(event[name]));
  }
  const tags = Object.entries(event.tags ?? {});
  if (tags.length) add("Tags", tags.map(([name, value]) => `${name}=${plain(value)}`).join("\n"));
  if (event.exception) add("Exception", el("pre", "", stack(event.exception)));
  if (event.details !== undefined && event.details !== null) add("Details", el("pre", "", JSON.stringify(event.details, null, 2)));
  const node = cell("", list);
  node.colSpan = 7;
  const row = el("tr", "error-detail", node);
  row.setAttribute("role", "row");
  row.id = id;
  return row;
}

function plain(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function stack(exception) {
  const head = [exception.type, exception.value].filter(Boolean).join(": ");
  const frames = Array.isArray(exception.frames) ? exception.frames : [];
  const lines = frames.map((frame) => (typeof frame === "object" && frame !== null ? `  at ${place(frame)}` : `  at ${frame}`));
  return [head, ...lines].join("\n");
}

function place(frame) {
  const file = frame.filename ?? frame.file ?? frame.module ?? "";
  const line = frame.lineno ?? frame.line;
  const where = [file, line].filter((part) => part !== undefined && part !== "").join(":");
  const name = frame.function ?? frame.name;
  return name ? `${name}${where ? ` (${where})` : ""}` : where || JSON.stringify(frame);
}
