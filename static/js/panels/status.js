// The banner: is it healthy, since when, why. When the server can't be reached it says so, and what was last known.
import { byId, el, reconcile, setAttr, setText, show } from "../dom.js";
import { iconSlot } from "../icons.js";
import { clockTime, instant, millis, span, words } from "../format.js";

const WORDS = { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy" };
const TONES = { healthy: "ok", degraded: "warn", unhealthy: "bad" };

/** Tone and icon of a status word. */
const toneOf = (status) => TONES[status] ?? "unknown";

/** The banner's panel. */
export function statusPanel() {
  const banner = byId("status");
  const draw = iconSlot(byId("status-icon"));
  return (view) => {
    const known = view.health?.status;
    const lost = view.stale && view.link !== "signed-out";
    const status = lost || !known ? "unknown" : known;
    const tone = toneOf(status);
    setAttr(banner, "data-status", status);
    setAttr(banner, "data-tone", lost ? "bad" : tone);
    draw(lost ? "off" : tone);
    setText(byId("status-word"), heading(view, lost));
    setText(byId("status-since"), lost ? lastKnown(view) : since(view));
    because(lost ? [] : view.health?.because);
    components(lost ? {} : view.health?.components, view);
    document.title = known || lost ? `${heading(view, lost)} – Mainstay` : "Mainstay";
  };
}

function heading(view, lost) {
  if (lost) return view.link === "unreachable" ? "No contact" : "No current data";
  const status = view.health?.status;
  return status ? (WORDS[status] ?? status) : "Asking…";
}

function lastKnown(view) {
  const status = view.health?.status;
  if (!status) return "This page has not heard from the server. Is it running, and can this browser reach it?";
  return `Last known: ${status}, ${span((view.ageMs ?? 0) / 1000)} ago. The page keeps trying.`;
}

function since(view) {
  const at = instant(view.health?.since);
  const parts = [];
  if (at !== null) parts.push(`for ${span(Math.max(view.now - at, 0) / 1000)}, since ${clockTime(at, view.now)}`);
  if (view.health?.databaseHealthy === false) parts.push("a database is not healthy");
  return parts.join(" · ");
}

function because(reasons) {
  const list = byId("status-because");
  const texts = (Array.isArray(reasons) ? reasons : []).map(String);
  reconcile(list, texts, (text) => text, (text) => ({ node: el("li", "", text) }));
  show(list, texts.length > 0);
}

function components(given, view) {
  const items = Object.entries(given ?? {}).filter(([, part]) => typeof part?.status === "string");
  const list = byId("status-components");
  reconcile(list, items, ([name]) => name, component);
  for (const [name, part] of items) list.keyed.get(name).refresh(part, view);
  show(list, items.length > 0);
}

function component([name]) {
  const mark = el("span");
  const note = el("span", "note");
  const draw = iconSlot(mark);
  const node = el("li", "", mark, el("span", "name", sentence(name)), note);
  const refresh = (part, view) => {
    const tone = toneOf(part.status);
    // What the banner says as its reason is not said twice.
    const detail = view.health.because?.some((reason) => part.detail?.includes(reason)) ? null : part.detail;
    setAttr(node, "data-tone", tone);
    draw(tone);
    const parts = [tone === "ok" ? null : part.status, detail, part.responseMs === undefined ? null : millis(part.responseMs)];
    setText(note, parts.filter(Boolean).join(" · "));
    const checked = instant(part.checkedAt);
    setAttr(node, "title", checked === null ? null : `Checked ${clockTime(checked, view.now)}`);
  };
  return { node, refresh };
}

function sentence(name) {
  const text = words(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
