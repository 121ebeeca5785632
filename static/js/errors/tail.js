// Follows the event log for the list of errors: each event as it is stored, and after a pause all that was missed.
// What must stay true: a hidden tab holds no connection, since a browser has few for each server; it goes on from the
// last position when it is looked at again. While this doesn't deliver, the list gets its events from the page's stream.
import { stopwatch } from "../clock.js";

const TAIL = "api/monitoring/errors/tail";
const AGAIN_MS = 10_000;

/** `arrived(event)` for each; `begun()` when it delivers from now on, and what came before has to be asked for. */
export class Tail {
  constructor(arrived, begun) {
    this.arrived = arrived;
    this.begun = begun;
    this.source = null;
    this.filter = null;
    this.last = null;
    this.sinceLost = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.resume()));
    setInterval(() => this.watch(), 1000);
  }

  /** Begins anew with what matches `filter`, in the API's parameter names. */
  follow(filter) {
    this.stop();
    this.filter = filter;
    if (!document.hidden) this.open();
  }

  /** Ends, for good. */
  stop() {
    this.pause();
    this.filter = null;
    this.last = null;
  }

  /** Whether events come this way. */
  get delivers() {
    return this.source?.readyState === EventSource.OPEN && this.last !== null;
  }

  pause() {
    this.source?.close();
    this.source = null;
    this.sinceLost = null;
  }

  resume() {
    if (this.filter && !this.source) this.open();
  }

  open() {
    this.pause();
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(this.filter)) if (value) query.set(name, value);
    if (this.last) query.set("after", this.last);
    const source = new EventSource(`${TAIL}?${query}`);
    this.source = source;
    source.addEventListener("message", (message) => this.heard(message, true));
    source.addEventListener("state", (message) => this.heard(message, false));
    source.addEventListener("gap", () => this.begun());
    // The browser comes back by itself, with its position, unless it was refused.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && this.source === source) this.lose();
    });
  }

  lose() {
    this.pause();
    this.sinceLost = stopwatch();
  }

  watch() {
    if (this.sinceLost && this.sinceLost() > AGAIN_MS && this.filter && !document.hidden) this.open();
  }

  heard(message, isEvent) {
    const isFirst = this.last === null;
    if (message.lastEventId) this.last = message.lastEventId;
    if (isFirst && this.last !== null) this.begun();
    if (!isEvent) return;
    try {
      this.arrived(JSON.parse(message.data));
    } catch {
      this.begun();
    }
  }
}
