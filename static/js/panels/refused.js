// What is being refused: first what is refused at this moment and until when, then the totals since the start.
import { byId, el, reconcile } from "../dom.js";
import { count, instant, plural, span, words } from "../format.js";
import { line } from "../parts.js";
import { Rises } from "../rises.js";
import { guarded, passes } from "../view.js";

const UNKNOWN = { tone: "unknown", what: "Not known." };

/** The refusals' panel. */
export function refusedPanel() {
  const rises = new Rises();
  const list = el("ul", "lines");
  byId("refused").append(list);
  return (view) => reconcile(list, view.stale ? [UNKNOWN] : linesOf(view, rises), (_, index) => index, line);
}

function linesOf(view, rises) {
  const now = view.now;
  const counters = countersOf(view);
  for (const counter of counters) rises.note(counter.name, counter.value, now);
  const lines = view.breakers.filter((breaker) => !passes(breaker)).map((breaker) => openLine(breaker, now));
  // What an open breaker refuses is in its own line already.
  const seen = counters.filter((counter) => counter.value > 0 && !counter.open);
  const [rising, past] = [true, false].map((wanted) => seen.filter((counter) => rises.rising(counter.name, now) === wanted));
  lines.push(...rising.map((counter) => ({ tone: "warn", what: counter.text, why: `${count(counter.value)} since the start, and rising` })));
  if (!lines.length) lines.push(quiet(view));
  lines.push(...past.map((counter) => ({ tone: "unknown", mark: "info", what: `${counter.text}: ${count(counter.value)} since the start` })));
  return lines;
}

function quiet(view) {
  if (!view.breakers.length && !view.stats) return UNKNOWN;
  return { tone: "ok", what: "Nothing is being refused." };
}

/** A breaker that refuses, and until when. */
function openLine(breaker, now) {
  const refused = typeof breaker.notPermittedCalls === "number" ? `${plural(breaker.notPermittedCalls, "call")} refused so far` : null;
  if (breaker.state === "HALF_OPEN") {
    const why = ["a few trial calls pass, the others are refused", refused].filter(Boolean).join("; ");
    return { tone: "warn", mark: "half", what: `${guarded(breaker.name)} is being tried again`, why };
  }
  const why = [untilRetry(breaker, now), refused].filter(Boolean).join("; ");
  return { tone: "bad", mark: breaker.state === "FORCED_OPEN" ? "lock" : "bad", what: `${guarded(breaker.name)} is refused`, why };
}

/** When an open breaker tries again, in words that count down. */
export function untilRetry(breaker, now) {
  if (breaker.state !== "OPEN" && breaker.state !== "FORCED_OPEN") return "";
  const at = instant(breaker.retryAt);
  if (at === null) return breaker.state === "FORCED_OPEN" ? "until it is reset by hand" : "";
  const left = Math.ceil((at - now) / 1000);
  return left > 0 ? `next try in ${span(left)}` : "next try is due";
}

function countersOf(view) {
  const counters = view.breakers.map((breaker) => ({
    name: `breaker ${breaker.name}`, value: breaker.notPermittedCalls, open: !passes(breaker),
    text: `${guarded(breaker.name)}: calls refused by the circuit breaker`,
  }));
  for (const [name, database] of Object.entries(view.stats?.databases ?? {})) {
    counters.push({ name: `pool ${name}`, value: database?.pool?.timeouts, text: `${name}.db: readers that got no connection in time` });
    counters.push({ name: `retry ${name}`, value: database?.retries?.gaveUp, text: `${name}.db: operations given up after retries` });
  }
  for (const [reason, value] of Object.entries(view.stats?.ledger?.dropped ?? {})) {
    counters.push({ name: `drop ${reason}`, value, text: `Error events dropped (${words(reason)})` });
  }
  return counters.filter((counter) => typeof counter.value === "number");
}
