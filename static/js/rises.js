// Which counters are rising: a total says what was refused since the start, its growth says what is being refused now.

// A refusal counts as present for this long after the counter last grew.
const PRESENT_MS = 30_000;

/** Remembers counters between states. */
export class Rises {
  constructor() {
    this.known = new Map();
  }

  /** Notes a counter's value; a counter that shrank belongs to a restarted server and starts over. */
  note(name, value, now) {
    if (typeof value !== "number") return;
    const known = this.known.get(name);
    if (!known || value < known.value) this.known.set(name, { value, at: null });
    else if (value > known.value) this.known.set(name, { value, at: now });
  }

  /** Whether it grew just now, as far as this page has seen. */
  rising(name, now) {
    const at = this.known.get(name)?.at;
    return typeof at === "number" && now - at <= PRESENT_MS;
  }
}
