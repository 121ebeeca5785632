// How current the page is, in the header: live, polling, or "data N s old"; and the few sentences that are read aloud.
import { byId, setAttr, setText } from "../dom.js";
import { span } from "../format.js";
import { passes, OLD_MS } from "../view.js";
import { stateWord } from "./breakers.js";

const LINKS = {
  connecting: ["unknown", "Connecting…"],
  live: ["ok", "Live"],
  polling: ["info", "Polling every 5 s"],
  reconnecting: ["warn", "Reconnecting…"],
  partial: ["warn", "Answering in part"],
  unreachable: ["bad", "No contact"],
  "signed-out": ["unknown", "Signed out"],
};

/** The header's panel. */
export function freshnessPanel() {
  const announce = announcer();
  return (view) => {
    const [tone, word] = LINKS[view.link];
    const old = view.ageMs !== null && view.ageMs > OLD_MS && view.link !== "signed-out";
    const age = old ? `data ${span(view.ageMs / 1000)} old` : null;
    setAttr(byId("freshness"), "data-tone", view.stale ? "bad" : old && tone === "ok" ? "warn" : tone);
    setText(byId("freshness-text"), [old && tone === "ok" ? null : word, age].filter(Boolean).join(" · "));
    setAttr(byId("freshness"), "data-link", view.link);
    document.body.classList.toggle("is-stale", view.stale);
    setText(byId("version"), view.health?.version ? String(view.health.version) : "");
    announce(view);
  };
}

/** Says aloud what changed: the status, a breaker, the contact. Nothing that changes every second. */
function announcer() {
  let last = null;
  return (view) => {
    const now = { status: view.health?.status ?? null, stale: view.stale, breakers: new Map(view.breakers.map((breaker) => [breaker.name, breaker])) };
    const before = last;
    last = now;
    if (before === null) return;
    const said = [];
    if (now.stale !== before.stale) said.push(now.stale ? "No current data from the server." : "Data is current again.");
    if (now.status !== before.status && now.status) said.push(`Status: ${now.status}.`);
    for (const [name, breaker] of now.breakers) {
      const was = before.breakers.get(name);
      if (was && was.state !== breaker.state) said.push(`Circuit breaker ${name}: ${stateWord(breaker.state)}${passes(breaker) || !breaker.cause ? "" : `, ${breaker.cause}`}.`);
    }
    if (said.length) setText(byId("announce"), said.join(" "));
  };
}
