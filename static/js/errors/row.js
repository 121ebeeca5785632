// One error event as a table row that opens to its first screen. Everything in an event came from outside: text, never markup.
import * as api from "../api.js";
import { el, setAttr, setText } from "../dom.js";
import { icon } from "../icons.js";
import { exactTime, instant, NONE, plural } from "../format.js";
import { severityMark, timeMark } from "../parts.js";
import { eventView } from "./event.js";

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

/** What the list knows at once, and the whole event as soon as it comes. */
function detailRow(event, id) {
  const node = cell("", eventView(event, false));
  node.colSpan = 7;
  const row = el("tr", "error-detail", node);
  row.setAttribute("role", "row");
  row.id = id;
  api.error(event.id).then(
    (whole) => node.replaceChildren(eventView({ ...event, ...whole }, true)),
    (refusal) => setText(node.querySelector(".event-note"), `The rest could not be loaded. ${refusal.message}`),
  );
  return row;
}
