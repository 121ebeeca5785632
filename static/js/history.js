// The breakers' recent changes. States of the stream carry the breakers alone; their history is asked for only when one
// of them has changed, so that a quiet page asks nothing.
import { circuitBreakers } from "./api.js";

/** Keeps the newest list of changes in `events`. */
export class BreakerHistory {
  constructor() {
    this.events = [];
    this.known = "";
  }

  /** Asks anew when these breakers differ from the last ones. */
  async follow(breakers) {
    const states = breakers.map((breaker) => `${breaker.name} ${breaker.state} ${breaker.openedAt ?? ""}`).join();
    if (states === this.known) return;
    this.known = states;
    try {
      const answer = await circuitBreakers();
      if (Array.isArray(answer?.events)) this.events = answer.events;
    } catch {
      // The next change, or the next state after this failure, asks again.
      this.known = "";
    }
  }
}
