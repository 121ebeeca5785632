// The button that resets the circuit breakers, with its question and its answer.
import { byId, setText } from "../dom.js";
import { resetBreakers } from "../api.js";
import { passes } from "../view.js";

/** Wires button and dialog; `current()` gives the newest view, `done()` is called after a reset. */
export function resetDialog(current, done) {
  const dialog = byId("reset-dialog");
  const confirm = byId("reset-confirm");
  byId("reset").addEventListener("click", () => {
    setText(byId("reset-error"), "");
    setText(byId("reset-text"), question(current().breakers));
    dialog.showModal();
  });
  confirm.addEventListener("click", async () => {
    confirm.disabled = true;
    setText(byId("reset-error"), "");
    try {
      const answer = await resetBreakers();
      dialog.close();
      setText(byId("announce"), `Reset: ${(answer?.reset ?? []).join(", ") || "nothing"}.`);
      done();
    } catch (refusal) {
      setText(byId("reset-error"), refusal.message);
    } finally {
      confirm.disabled = false;
    }
  });
}

function question(breakers) {
  const open = breakers.filter((breaker) => !passes(breaker)).map((breaker) => breaker.name);
  const now = open.length ? `Refusing now: ${open.join(", ")}.` : "None refuses calls now.";
  return `${now} A reset closes every breaker and forgets what it counted; where the cause is still there, it opens again.`;
}
