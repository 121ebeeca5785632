// The first screen of one event, in the order in which a developer asks: what, where, for whom, in which release, and
// what happened before. Everything in an event came from outside: text, never markup.
import { el, setAttr } from "../dom.js";
import { exactTime, instant, NONE, plural } from "../format.js";
import { severityMark } from "../parts.js";
import { stackOf } from "./stack.js";

const MOST_CRUMBS = 15;
const MORE = [
  ["id", "Id"], ["standsFor", "Counted on it"], ["receivedAt", "Received"], ["class", "Class"], ["userMessage", "Told the user"],
  ["suggestion", "Suggestion"], ["retryable", "Worth a retry"], ["ip", "Address"], ["fingerprint", "Fingerprint"],
];

/** The view of an event; `whole` says that breadcrumbs, causes and source lines are with it. */
export function eventView(event, whole) {
  const node = el("article", "event");
  node.append(heading(event), facts(event));
  const section = (title, content) => {
    if (content) node.append(el("section", "event-part", el("h4", "", title), content));
  };
  section("Stack, innermost call first", stackOf(event.exception));
  for (const cause of causes(event)) section(causeTitle(cause), stackOf(cause) ?? el("p", "muted", "without a stack"));
  section("What happened before", crumbsOf(event));
  section("Tags", pairs(event.tags));
  section("Request headers", pairs(event.request?.headers));
  if (event.details !== undefined && event.details !== null) section("Details", el("pre", "", JSON.stringify(event.details, null, 2)));
  if (!whole) node.append(el("p", "muted event-note", "Loading the rest…"));
  node.append(more(event));
  return node;
}

const causes = (event) => (Array.isArray(event.causes) ? event.causes : []);

function causeTitle(cause) {
  return `Caused by ${[cause?.type, cause?.value].filter(Boolean).join(": ") || "something unnamed"}`;
}

/** Type and value of what was thrown, else the message; then where. */
function heading(event) {
  const { type, value } = event.exception ?? {};
  const message = String(event.message ?? NONE);
  const node = el("header", "event-head", severityMark(event.severity));
  const title = el("h3", "event-title");
  if (type) title.append(el("span", "event-type", String(type)));
  const said = value ?? (type ? "" : message);
  if (said !== "") title.append(type ? ": " : "", el("span", "event-value", String(said)));
  node.append(title);
  const isSaid = [value, `${type}: ${value}`, type].some((text) => String(text ?? "") === message);
  if (type && !isSaid) node.append(el("p", "event-message", message));
  if (event.culprit) node.append(el("p", "event-culprit", "in ", el("code", "", String(event.culprit))));
  return node;
}

function facts(event) {
  const node = el("dl", "event-facts");
  const add = (label, value, title = null) => {
    if (value === "" || value === null || value === undefined) return;
    const shown = el("dd", "", String(value));
    setAttr(shown, "title", title);
    node.append(el("div", "", el("dt", "", label), shown));
  };
  add("Request", requestOf(event));
  add("User", userOf(event));
  add("Release", joined([event.release, event.environment]));
  add("Source", event.source);
  add("Time", exactTime(instant(event.timestamp)));
  add("Type", event.type);
  add("Group", joined([event.groupId, event.occurrences > 1 ? plural(event.occurrences, "time") : ""]));
  add("Request id", event.requestId);
  return node;
}

const joined = (parts) => parts.filter((part) => part !== undefined && part !== null && part !== "").join(" · ");

function requestOf(event) {
  const { method, url } = event.request ?? {};
  return [method, url ?? event.path].filter(Boolean).join(" ");
}

function userOf(event) {
  const user = event.user ?? {};
  const id = event.userId ?? user.id;
  const known = [id === undefined || id === null ? "" : String(id), user.username, user.email, user.ip];
  return joined([...new Set(known)]);
}

/** Oldest first, as it happened; the last ones are shown, the earlier ones can be unfolded. */
function crumbsOf(event) {
  const crumbs = (Array.isArray(event.breadcrumbs) ? event.breadcrumbs : []).filter((one) => typeof one === "object" && one !== null);
  if (!crumbs.length) return null;
  const list = (some) => el("ol", "crumbs", ...some.map(crumb));
  const early = crumbs.slice(0, -MOST_CRUMBS);
  const node = el("div", "");
  if (early.length) node.append(el("details", "", el("summary", "", `${plural(early.length, "earlier step")}`), list(early)));
  node.append(list(crumbs.slice(-MOST_CRUMBS)));
  return node;
}

function crumb(one) {
  const at = instant(one.timestamp);
  const time = el("time", "mono", at === null ? "" : exactTime(at).slice(11, 23));
  setAttr(time, "title", at === null ? null : exactTime(at));
  const kind = one.category ?? one.type ?? "";
  const data = one.data === undefined || one.data === null ? "" : dataOf(one.data);
  const said = el("span", "crumb-text", joined([one.message]), one.message && data ? " " : "", data ? el("span", "crumb-data mono", data) : null);
  const node = el("li", "crumb", time, el("span", "crumb-kind", String(kind)), said);
  setAttr(node, "data-level", one.level ?? null);
  return node;
}

function dataOf(data) {
  if (typeof data !== "object") return String(data);
  return Object.entries(data).map(([name, value]) => `${name}=${plain(value)}`).join(" ");
}

function pairs(members) {
  const entries = Object.entries(members ?? {});
  if (!entries.length) return null;
  const node = el("dl", "detail-list");
  for (const [name, value] of entries) node.append(el("dt", "", name), el("dd", "", plain(value)));
  return node;
}

function more(event) {
  const values = MORE.map(([name, label]) => [label, event[name]]).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return el("details", "event-more", el("summary", "", "More"), pairs(Object.fromEntries(values)));
}

function plain(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
