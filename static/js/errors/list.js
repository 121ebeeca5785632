// The list of recent errors: newest first, live at the top, older pages at the bottom by cursor.
// What must stay true: an event is shown once (by id), however it came; rows never move under a reader's hand: while
// a row is open or the pointer is at work in the table, new events wait behind a button; memory stays bounded.
import * as api from "../api.js";
import { byId, setText, show } from "../dom.js";
import { stopwatch, serverNow } from "../clock.js";
import { count, instant, plural } from "../format.js";
import { Filter } from "./filter.js";
import { errorRow } from "./row.js";
import { Tail } from "./tail.js";

const PAGE = 25;
const MOST_ROWS = 500;
const HANDS_OFF_MS = 3000;

/** The list; `follow` lets it live, `streamed` takes events of the page's stream, `resume` is told when that was broken. */
export class ErrorList {
  constructor() {
    this.body = byId("errors-body");
    this.rows = new Map();
    this.held = new Map();
    this.older = null;
    this.restart = null;
    this.failure = null;
    this.scheduled = false;
    this.asked = 0;
    this.sinceMove = null;
    this.filter = new Filter(() => this.reload());
    this.tail = new Tail((event) => this.arrived(event), () => this.refresh(), () => this.refresh(true));
    byId("errors-more").addEventListener("click", () => this.more());
    byId("errors-held").addEventListener("click", () => this.release());
    this.body.addEventListener("pointermove", () => (this.sinceMove = stopwatch()));
    this.body.addEventListener("pointerleave", () => (this.sinceMove = null));
    setInterval(() => this.settle(), 1000);
  }

  /** Starts over with the present filter. */
  reload() {
    this.clear();
    this.follow();
    return this.refresh();
  }

  /** Takes events live from now on. */
  follow() {
    this.tail.follow(this.filter.parameters());
  }

  /** Forgets everything, and follows nothing. */
  clear() {
    this.tail.stop();
    this.drop();
    this.held.clear();
    this.restart = null;
    this.asked += 1;
    this.continueWith(null);
    this.settle();
  }

  drop() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
  }

  /** The page's stream goes on and may have missed events: they are asked for, unless the tail brings them. */
  resume() {
    if (!this.tail.bridges) this.refresh();
  }

  /** Merges the newest page; starts over when it has nothing in common with what is shown, or when events were missed. */
  async refresh(missed = false) {
    const asked = this.asked;
    const page = await this.ask({});
    if (!page || asked !== this.asked) return;
    const known = page.errors.some((event) => this.rows.has(event.id) || this.held.has(event.id));
    const first = this.rows.size === 0;
    if (first || missed || (!known && page.errors.length)) this.restart = { older: page.nextCursor ? { cursor: page.nextCursor } : null };
    for (const event of page.errors) this.hold(event);
    if (first) this.release(true);
    this.settle();
  }

  /** Adds older events: the next page, or the next one that has anything new. */
  async more() {
    const button = byId("errors-more");
    const asked = this.asked;
    const before = this.rows.size;
    button.disabled = true;
    while (this.older && this.rows.size === before) {
      const from = this.older;
      const page = await this.ask(from);
      if (!page || asked !== this.asked) break;
      for (const event of page.errors) this.insert(event, false);
      this.continueWith(page.nextCursor ? { until: from.until, cursor: page.nextCursor } : null);
    }
    button.disabled = false;
  }

  async ask(place) {
    try {
      const page = await api.errors({ limit: PAGE, ...this.filter.parameters(), ...place });
      const errors = Array.isArray(page?.errors) ? page.errors : [];
      this.failure = null;
      return { errors: errors.filter((event) => event?.id), nextCursor: page?.nextCursor ?? null };
    } catch (refusal) {
      this.failure = refusal.message;
      this.settle();
      return null;
    }
  }

  continueWith(place) {
    this.older = place;
    show(byId("errors-more"), place !== null);
  }

  /** An event of the page's stream, which is wanted while the tail doesn't deliver. */
  streamed(event) {
    if (!this.tail.delivers) this.arrived(event);
  }

  /** A live event. */
  arrived(event) {
    if (!event.id || !this.filter.admits(event)) return;
    this.hold(event);
    if (!this.scheduled) {
      this.scheduled = true;
      // One change of the page for a burst of events; a timer, since frames stop in a hidden tab.
      setTimeout(() => {
        this.scheduled = false;
        this.settle();
      }, 100);
    }
  }

  hold(event) {
    if (this.rows.has(event.id)) return;
    this.held.set(event.id, event);
    if (this.held.size > MOST_ROWS) this.held.delete(oldest(this.held.values()).id);
  }

  /** Whether somebody is at work in the table. */
  get busy() {
    const open = [...this.rows.values()].some((row) => row.detail);
    return open || this.body.contains(document.activeElement) || (this.sinceMove !== null && this.sinceMove() < HANDS_OFF_MS);
  }

  /** Shows what waits unless that would disturb, and says what there is. */
  settle() {
    if (this.held.size && !this.busy) this.release();
    const button = byId("errors-held");
    show(button, this.held.size > 0);
    if (this.held.size) setText(button, `${plural(this.held.size, "new error")}: show`);
    setText(byId("errors-note"), this.note());
    this.body.dataset.live = this.tail.delivers ? "tail" : "stream";
  }

  note() {
    if (this.failure) return `The list could not be loaded. ${this.failure}`;
    if (this.rows.size || this.held.size) return "";
    return this.filter.active ? "No error matches the filter." : "No errors.";
  }

  release(first = false) {
    if (this.restart) {
      this.drop();
      this.continueWith(this.restart.older);
      this.restart = null;
    }
    for (const event of this.held.values()) this.insert(event, !first);
    this.held.clear();
    show(byId("errors-held"), false);
    this.trim();
    setText(byId("errors-note"), this.note());
  }

  /** Puts an event at its place, which is nearly always the top or the bottom. */
  insert(event, isNew) {
    if (this.rows.has(event.id)) return;
    const row = errorRow(event, serverNow(), () => this.settle());
    if (isNew) row.node.classList.add("is-new");
    this.rows.set(event.id, row);
    const after = (node) => node.dataset.id !== undefined && isNewer(event, this.rows.get(node.dataset.id).event);
    const last = this.body.lastElementChild;
    let place = isNew || !last?.dataset.id || after(last) ? this.body.firstElementChild : null;
    while (place && !after(place)) place = place.nextElementSibling;
    this.body.insertBefore(row.node, place);
  }

  /** Keeps the page small. What was cut off is found again by time, since the cursor would skip it. */
  trim() {
    if (this.rows.size <= MOST_ROWS) return;
    const nodes = [...this.body.querySelectorAll(".error-row")];
    for (const node of nodes.slice(MOST_ROWS)) {
      this.rows.get(node.dataset.id).remove();
      this.rows.delete(node.dataset.id);
    }
    const at = instant(this.rows.get(nodes[MOST_ROWS - 1].dataset.id).event.timestamp);
    if (at !== null) this.continueWith({ until: new Date(at + 1).toISOString() });
  }

  /** The totals beside the heading. */
  summarise(view) {
    const errors = view.stats?.errors;
    const parts = [];
    if (typeof errors?.perMinute === "number") parts.push(`${count(errors.perMinute)} per minute`);
    if (typeof errors?.last24h === "number") parts.push(`${count(errors.last24h)} in 24 h`);
    if (typeof errors?.total === "number") parts.push(`${count(errors.total)} in all`);
    setText(byId("errors-summary"), parts.join(" · "));
  }
}

const key = (event) => [instant(event.timestamp) ?? 0, String(event.id)];

// Ids begin with their time too, and decide within one millisecond.
function isNewer(a, b) {
  const [[atA, idA], [atB, idB]] = [key(a), key(b)];
  return atA === atB ? idA > idB : atA > atB;
}

const oldest = (events) => [...events].reduce((a, b) => (isNewer(a, b) ? b : a));
