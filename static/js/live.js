// Keeps the page's picture of the server current: the event stream while it delivers, polling whenever it doesn't.
// One rule decides: no state for SILENT_MS means poll, every POLL_MS, until the stream speaks again. A stream that
// the browser gave up on, or that stays silent while the server answers, is opened anew with growing pauses.
// What must stay true: after a 401/403 only the public health is asked for, so that a page left open
// doesn't count as a series of failed attempts.
import * as api from "./api.js";
import { stopwatch } from "./clock.js";

const POLL_MS = 5000;
const SILENT_MS = 6000;
const RECYCLE_MS = 20_000;
const REOPEN_MS = [2000, 5000, 10_000, 30_000];
const STREAM = "api/monitoring/stream";

/**
 * `on` has `state(picture)`, `error(event)`, `resume()` (events may have been missed) and `denied(refused)`.
 * The returned object starts, stops and describes the connection.
 */
export class Live {
  constructor(on) {
    this.on = on;
    this.picture = {};
    this.link = "connecting";
    this.sinceData = null;
    this.sinceHeard = null;
    this.sincePoll = null;
    this.source = null;
    this.reopenAfter = null;
    this.failures = 0;
    this.polling = false;
    this.denied = false;
    setInterval(() => this.watch(), 1000);
  }

  /** Asks at once, then listens. Also the way back after signing in. */
  async start() {
    this.denied = false;
    this.close();
    await this.poll();
    if (!this.denied) this.open();
  }

  /** Milliseconds since the picture was last whole, or null when it never was. */
  age() {
    return this.sinceData ? this.sinceData() : null;
  }

  open() {
    this.close();
    const source = new EventSource(STREAM);
    this.source = source;
    this.sinceOpen = stopwatch();
    source.addEventListener("state", (message) => this.heard(message));
    // The server names its error events `error`, as the browser names its own: only the server's carry data.
    source.addEventListener("error", (message) => {
      if (message instanceof MessageEvent) this.deliver(message.data);
      else this.broke(source);
    });
    source.addEventListener("open", () => this.on.resume());
  }

  close() {
    this.source?.close();
    this.source = null;
    this.reopenAfter = null;
  }

  /** A broken stream: the browser reconnects by itself (with Last-Event-ID) unless it was told not to. */
  broke(source) {
    this.sinceHeard = null;
    if (this.link === "live") this.link = "reconnecting";
    if (source.readyState === EventSource.CLOSED) this.lost();
    else this.watch();
  }

  lost() {
    this.close();
    const pause = REOPEN_MS[Math.min(this.failures, REOPEN_MS.length - 1)];
    this.failures += 1;
    const waited = stopwatch();
    this.reopenAfter = () => waited() > pause;
    this.watch();
  }

  heard(message) {
    const state = parsed(message.data);
    if (!state) return;
    this.failures = 0;
    this.sinceHeard = stopwatch();
    this.link = "live";
    this.accept(state, true);
  }

  deliver(data) {
    const event = parsed(data);
    if (event) this.on.error(event);
  }

  accept(received, whole) {
    for (const [name, value] of Object.entries(received)) if (value !== undefined && value !== null) this.picture[name] = value;
    if (whole) this.sinceData = stopwatch();
    this.on.state(this.picture);
  }

  watch() {
    const silent = this.link !== "live" || !this.sinceHeard || this.sinceHeard() > SILENT_MS;
    const due = !this.sincePoll || this.sincePoll() >= POLL_MS;
    if (silent && due) this.poll();
    if (this.denied) return;
    if (this.reopenAfter?.()) this.open();
    const mute = this.source?.readyState === EventSource.OPEN && (this.sinceHeard ?? this.sinceOpen)() > RECYCLE_MS;
    if (mute && this.link === "polling") this.lost();
  }

  /** One round of questions; answers that come are used although others fail. */
  async poll() {
    if (this.polling) return;
    this.polling = true;
    this.sincePoll = stopwatch();
    try {
      await this.round();
    } finally {
      this.polling = false;
    }
  }

  async round() {
    const questions = this.denied ? [api.health()] : [api.health(), api.stats(), api.circuitBreakers(), api.alerts()];
    const answers = await Promise.allSettled(questions);
    const [health, stats, circuitBreakers, alerts] = answers.map((answer) => answer.value);
    const refusal = answers.find((answer) => answer.reason instanceof api.Refused && answer.reason.isAccess)?.reason;
    const answered = answers.some((answer) => !(answer.reason instanceof api.Unreachable));
    if (refusal && !this.denied) {
      this.denied = true;
      this.close();
      this.sinceHeard = null;
      this.on.denied(refusal);
    }
    if (this.denied) this.picture = {};
    this.link = this.linkAfter(answered, health && stats);
    this.accept({ health, stats, circuitBreakers, alerts }, this.denied ? Boolean(health) : Boolean(health && stats));
    if (answered && !this.denied && this.link !== "live") this.on.resume();
  }

  linkAfter(answered, whole) {
    if (this.sinceHeard && this.sinceHeard() < SILENT_MS) return "live";
    if (!answered) return "unreachable";
    if (this.denied) return "signed-out";
    return whole ? "polling" : "partial";
  }
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}
