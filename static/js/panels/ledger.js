// The event ledger: everything accepted must be stored, spooled, in flight or dropped for a reason that is named.
import { byId, el, reconcile, setAttr, setText } from "../dom.js";
import { iconSlot } from "../icons.js";
import { count, words } from "../format.js";
import { facts } from "../parts.js";

const VERDICTS = {
  ok: "Balanced: every accepted event is accounted for",
  bad: "Not balanced: events are unaccounted for",
  unknown: "Not known",
};

/** The ledger's panel. */
export function ledgerPanel() {
  const mark = el("span");
  const word = el("span");
  const verdict = el("p", "verdict", mark, word);
  const draw = iconSlot(mark);
  const totals = facts(["accepted", "Accepted"], ["stored", "Stored"], ["spooled", "Spooled"], ["inFlight", "In flight"]);
  const dropped = el("dl", "facts");
  byId("ledger").append(verdict, totals.node, dropped);
  return (view) => {
    const ledger = view.stats?.ledger ?? {};
    const tone = { true: "ok", false: "bad" }[ledger.balanced] ?? "unknown";
    setAttr(verdict, "data-tone", tone);
    draw(tone);
    setText(word, VERDICTS[tone]);
    for (const name of ["accepted", "stored", "inFlight"]) totals.set(name, count(ledger[name]));
    totals.set("spooled", count(ledger.spooled), { tone: ledger.spooled > 0 ? "warn" : null });
    reconcile(dropped, Object.entries(ledger.dropped ?? {}), ([reason]) => reason, drop);
  };
}

function drop([reason]) {
  const value = el("dd");
  const node = el("div", "fact", el("dt", "", `Dropped: ${words(reason)}`), value);
  const update = ([, number]) => {
    setText(value, count(number));
    setAttr(node, "data-tone", number > 0 ? "bad" : null);
  };
  return { node, update };
}
