// Calls to the API. An answer with JSON is returned, a refusal is thrown as `Refused` with its problem, no answer at
// all is thrown as `Unreachable`. Only live.js, the error list, the session and the reset dialog call it.
import { noteServerDate } from "./clock.js";

const TIMEOUT_MS = 10_000;

/** The server answered, with a problem. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }

  /** Whether signing in may help. */
  get isAccess() {
    return this.status === 401 || this.status === 403;
  }
}

/** No answer, or none in time. */
export class Unreachable extends Error {}

async function send(method, path, body) {
  const sentAt = Date.now();
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    noteServerDate(response.headers.get("Date"), sentAt, Date.now());
    text = await response.text();
  } catch (cause) {
    throw new Unreachable("The server does not answer.", { cause });
  }
  return { response, json: parsed(text) };
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}

async function call(method, path, body) {
  const { response, json } = await send(method, path, body);
  if (!response.ok) throw new Refused(response.status, json ?? {});
  return json;
}

/** Health is a statement, not a failure, also when it comes with 503. */
export async function health() {
  const { response, json } = await send("GET", "api/monitoring/health");
  if (json?.status === undefined || typeof json.status !== "string") throw new Refused(response.status, json ?? {});
  return json;
}

export const stats = () => call("GET", "api/monitoring/stats");
export const circuitBreakers = () => call("GET", "api/monitoring/circuit-breaker");
export const alerts = () => call("GET", "api/monitoring/alerts");
export const resetBreakers = () => call("POST", "api/monitoring/circuit-breaker/reset", {});
export const signIn = (token) => call("POST", "api/session", { token });
export const signOut = () => call("DELETE", "api/session");

/** One page of error events; `filter` has the API's own parameter names, empty values are left out. */
export function errors(filter) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value);
  return call("GET", `api/monitoring/errors?${query}`);
}

/** One error event with all that is known of it. */
export const error = (id) => call("GET", `api/monitoring/errors/${encodeURIComponent(id)}`);
