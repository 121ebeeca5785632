// The server's time as this page knows it. Countdowns to `retryAt` and ages of `since` compare server times, and the
// reader's clock may be minutes off; the Date header of any answer tells by how much.

// The header has whole seconds, so that a smaller difference says nothing.
const NOTICEABLE_MS = 1500;

let skewMs = 0;

/** Learns from an answer's Date header and the local times around the request. */
export function noteServerDate(header, sentAt, receivedAt) {
  const server = Date.parse(header ?? "");
  if (Number.isNaN(server)) return;
  const measured = server + 500 - (sentAt + receivedAt) / 2;
  skewMs = Math.abs(measured) > NOTICEABLE_MS ? measured : 0;
}

/** Milliseconds since the epoch by the server's clock. */
export const serverNow = () => Date.now() + skewMs;

/** A stopwatch that also counts the time in which the machine slept. */
export function stopwatch() {
  const steady = performance.now();
  const wall = Date.now();
  return () => Math.max(performance.now() - steady, Date.now() - wall, 0);
}
