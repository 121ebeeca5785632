// The circuit breakers: state in words and shape, cause, a countdown to the next try, what was refused; recent changes.
import { byId, el, reconcile, setAttr, setText, show } from "../dom.js";
import { iconSlot } from "../icons.js";
import { clockTime, count, instant, percent, plural, span } from "../format.js";
import { timeMark } from "../parts.js";
import { guarded } from "../view.js";
import { untilRetry } from "./refused.js";

const STATES = {
  CLOSED: { word: "Closed", tone: "ok", mark: "ok" },
  OPEN: { word: "Open", tone: "bad", mark: "bad" },
  HALF_OPEN: { word: "Half-open", tone: "warn", mark: "half" },
  FORCED_OPEN: { word: "Forced open", tone: "bad", mark: "lock" },
  DISABLED: { word: "Disabled", tone: "unknown", mark: "off" },
};
const MEANINGS = {
  CLOSED: "calls pass",
  HALF_OPEN: "testing with a few calls",
  FORCED_OPEN: "opened by hand",
  DISABLED: "calls pass unguarded",
};
const SHOWN_CHANGES = 12;

/** A state's word for people. */
export const stateWord = (state) => STATES[state]?.word ?? String(state ?? "unknown");

/** The breakers' panel. */
export function breakersPanel() {
  const list = byId("breakers");
  return (view) => {
    reconcile(list, view.breakers, (breaker) => breaker.name, makeCard);
    for (const breaker of view.breakers) list.keyed.get(breaker.name).tick(breaker, view.now);
    changes(view);
  };
}

function makeCard(given) {
  const mark = el("span");
  const word = el("span");
  const [retry, cause, opened, counts] = ["breaker-retry", "breaker-cause", "breaker-counts", "breaker-counts"].map((name) => el("p", name));
  const node = el("li", "breaker",
    el("div", "breaker-name", el("h3", "", guarded(given.name)), el("code", "", String(given.name))),
    el("p", "breaker-state", mark, word), retry, cause, opened, counts);
  setAttr(node, "data-name", given.name);
  const draw = iconSlot(mark);
  const update = (breaker) => {
    const state = STATES[breaker.state] ?? { tone: "unknown", mark: "unknown" };
    setAttr(node, "data-tone", state.tone);
    setAttr(node, "data-state", breaker.state);
    draw(state.mark);
    setText(word, stateWord(breaker.state));
    setText(cause, breaker.state === "CLOSED" || !breaker.cause ? "" : `Cause: ${breaker.cause}`);
    setText(counts, numbers(breaker));
  };
  const tick = (breaker, now) => {
    setText(retry, untilRetry(breaker, now) || (MEANINGS[breaker.state] ?? ""));
    const at = instant(breaker.openedAt);
    const openNow = at !== null && breaker.state !== "CLOSED" && breaker.state !== "DISABLED";
    setText(opened, openNow ? `for ${span(Math.max(now - at, 0) / 1000)}, since ${clockTime(at, now)}` : "");
  };
  return { node, update, tick };
}

function numbers(breaker) {
  const parts = [];
  if (typeof breaker.notPermittedCalls === "number") parts.push(`${count(breaker.notPermittedCalls)} refused`);
  if (typeof breaker.failedCalls === "number") parts.push(`${count(breaker.failedCalls)} of ${plural(breaker.bufferedCalls, "call")} failed (${percent(breaker.failureRate)})`);
  if (breaker.slowCallRate > 0) parts.push(`${percent(breaker.slowCallRate)} slow`);
  return parts.join(" · ");
}

function changes(view) {
  const events = view.breakerEvents
    .toSorted((a, b) => (instant(b.at) ?? 0) - (instant(a.at) ?? 0))
    .slice(0, SHOWN_CHANGES);
  show(byId("breaker-events"), events.length > 0);
  reconcile(byId("breaker-events-list"), events, (event) => `${event.at} ${event.name} ${event.to}`, (event) => {
    const moved = event.to ? `${stateWord(event.from)} → ${stateWord(event.to)}` : String(event.type ?? "");
    return { node: el("li", "", timeMark(event.at, view.now), el("code", "", String(event.name)), el("strong", "", moved), el("span", "", String(event.cause ?? ""))) };
  });
}
