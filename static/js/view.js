// What the panels are given: the server's answers in one tolerant shape, and how old they are. Pure.
// A member that is missing stays missing (the panels show a dash); a list is always a list.

/** When data is called old, in milliseconds. */
export const OLD_MS = 5000;
// When it is no longer to be relied on: two rounds of polling have brought nothing.
const STALE_MS = 12_000;

const list = (value, member) => {
  const found = Array.isArray(value) ? value : value?.[member];
  return Array.isArray(found) ? found.filter((item) => item !== null && typeof item === "object") : [];
};

/** `picture` as Live keeps it, `contact` is `{link, ageMs, breakerEvents}`, `now` the server's time in milliseconds. */
export function viewOf(picture, contact, now) {
  const breakers = list(picture.circuitBreakers, "circuitBreakers");
  return {
    health: picture.health ?? null,
    stats: picture.stats ?? null,
    breakers: breakers.length ? breakers : list(picture.health, "circuitBreakers"),
    alerts: list(picture.alerts, "alerts"),
    now,
    ...contact,
    breakerEvents: list(contact.breakerEvents),
    stale: contact.link === "unreachable" || (contact.ageMs ?? 0) > STALE_MS,
  };
}

/** Whether a breaker lets every call pass. */
export const passes = (breaker) => breaker.state === "CLOSED" || breaker.state === "DISABLED";

/** What a breaker guards, in words. */
export function guarded(name) {
  const [database, side] = String(name).split(".");
  const what = { app: "application data", events: "error events" }[database];
  const how = { read: "Reading", write: "Writing" }[side];
  return what && how ? `${how} ${what}` : String(name);
}
