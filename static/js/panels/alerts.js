// What to do now: the active alerts with their runbooks, gravest first; without alerts, what the state itself asks for.
import { byId, el, reconcile, setAttr, setText, show } from "../dom.js";
import { instant, span } from "../format.js";
import { SEVERITIES, line, severityMark } from "../parts.js";
import { passes } from "../view.js";

const ORDER = Object.keys(SEVERITIES);
const rank = (alert) => (ORDER.indexOf(alert.severity) + ORDER.length + 1) % (ORDER.length + 1);

/** The alerts' panel. */
export function alertsPanel() {
  const list = el("ul", "alerts");
  const calm = el("ul", "lines");
  byId("alerts").append(calm, list);
  return (view) => {
    const alerts = view.alerts.toSorted((a, b) => rank(a) - rank(b));
    reconcile(list, alerts, (alert) => `${alert.id} ${alert.severity}`, makeAlert);
    for (const alert of alerts) list.keyed.get(`${alert.id} ${alert.severity}`).tick(alert, view.now);
    const lines = lost(view) ?? (alerts.length ? [] : advice(view));
    reconcile(calm, lines, (_, index) => index, line);
    show(list, alerts.length > 0);
    show(calm, lines.length > 0);
  };
}

function makeAlert(given) {
  const title = el("span", "alert-title");
  const since = el("span", "alert-since");
  const detail = el("p", "alert-detail");
  const steps = el("ol", "runbook");
  const node = el("li", "alert", el("div", "alert-head", severityMark(given.severity), title, since), detail, steps);
  setAttr(node, "data-tone", SEVERITIES[given.severity] ?? "unknown");
  const update = (alert) => {
    setText(title, String(alert.title ?? alert.id));
    setText(detail, alert.detail ? String(alert.detail) : "");
    show(detail, Boolean(alert.detail));
    const runbook = (Array.isArray(alert.runbook) ? alert.runbook : []).map(String);
    reconcile(steps, runbook, (text, index) => `${index} ${text}`, (text) => ({ node: el("li", "", text) }));
    show(steps, runbook.length > 0);
  };
  const tick = (alert, now) => {
    const at = instant(alert.since);
    setText(since, at === null ? "" : `for ${span(Math.max(now - at, 0) / 1000)}`);
  };
  return { node, update, tick };
}

/** Without current data no advice can be given but this; alerts known from before stay listed. */
function lost(view) {
  if (!view.stale) return null;
  if (view.link === "unreachable") return [{ tone: "bad", mark: "off", what: "See whether Mainstay runs, and whether this browser can reach it.", why: "What stands below is what was last known. This page keeps trying by itself." }];
  return [{ tone: "bad", mark: "off", what: "The server answers, but not with its state.", why: "What stands below is what was last known; the server's log has the reason." }];
}

function advice(view) {
  if (!view.health) return [{ tone: "unknown", what: "Waiting for the server's answer." }];
  const status = view.health.status;
  if (status === "healthy") return [{ tone: "ok", what: "Nothing needs you now." }];
  const recovering = view.breakers.some((breaker) => !passes(breaker) && breaker.state !== "FORCED_OPEN");
  const forced = view.breakers.some((breaker) => breaker.state === "FORCED_OPEN");
  const lines = [];
  if (recovering) lines.push({ tone: "warn", mark: "half", what: "It recovers by itself once the cause is gone.", why: "An open circuit breaker tries again at the time shown below; the cause is listed above." });
  if (forced) lines.push({ tone: "warn", mark: "lock", what: "A circuit breaker was opened by hand.", why: "It stays open until it is reset." });
  if (!lines.length) lines.push({ tone: "warn", what: "No alert is active. The reasons are listed above.", why: "The recent errors below show what failed." });
  return lines;
}
