// Follows the event log for the list of errors: each event as it is stored, and after a pause all that was missed.
// What must stay true: a hidden tab holds no connection, since a browser has few for each server; it goes on from the
// last position when it is looked at again. While this doesn't deliver, the list gets its events from the page's stream,
// and whoever relied on this to bring what came meanwhile is told when it can't.
import { stopwatch } from "../clock.js";

const TAIL = "api/monitoring/errors/tail";
const AGAIN_MS = 10_000;
const CONNECTING_MS = 15_000;

/**
 * `arrived(event)` for each; `begun()` when it delivers from now on, and what came before has to be asked for;
 * `missed()` when it won't bring something that came since.
 */
export class Tail {
  constructor(arrived, begun, missed) {
    this.arrived = arrived;
    this.begun = begun;
    this.missed = missed;
    this.source = null;
    this.filter = null;
    this.last = null;
    this.sinceLost = null;
    this.sinceConnecting = null;
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

  /** Whether all that came since the last event is still on its way here, over whatever breaks the connection. */
  get bridges() {
    return this.source !== null && this.last !== null;
  }

  pause() {
    this.source?.close();
    this.source = null;
    this.sinceLost = null;
    this.sinceConnecting = null;
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
    source.addEventListener("gap", () => this.missed());
    // The browser comes back by itself, with its position, unless it was refused.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && this.source === source) this.lose();
    });
  }

  lose() {
    const promised = this.bridges;
    this.pause();
    this.sinceLost = stopwatch();
    if (promised) this.missed();
  }

  watch() {
    if (this.source?.readyState === EventSource.CONNECTING) this.sinceConnecting ??= stopwatch();
    else this.sinceConnecting = null;
    if (this.sinceConnecting && this.sinceConnecting() > CONNECTING_MS) this.lose();
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
      this.missed();
    }
  }
}
