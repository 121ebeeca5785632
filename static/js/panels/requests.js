// Requests: totals, latency, and two charts of what this page has seen since it was opened.
import { byId, el } from "../dom.js";
import { Chart } from "../chart.js";
import { count, decimal, millis, percent } from "../format.js";
import { facts } from "../parts.js";
import { Series } from "../series.js";

/** The requests' panel: `render(view)` fills it, `sample(view)` takes one measurement of each series. */
export function requestsPanel() {
  const rates = new Series();
  const failures = new Series();
  const charts = [
    new Chart("Requests per second", "/s", rates),
    new Chart("Errors per minute", "/min", failures, { bad: true }),
  ];
  const node = facts(["perSecond", "Per second"], ["errorRate", "Error rate"], ["p50", "Latency p50"], ["p95", "Latency p95"],
    ["p99", "Latency p99"], ["slow", "Slow"], ["inFlight", "In flight"], ["total", "Total"]);
  byId("requests").append(node.node, el("div", "charts", ...charts.map((chart) => chart.node)));
  const render = (view) => {
    fill(node, view.stats?.requests ?? {});
    for (const chart of charts) chart.draw(view.now);
  };
  const sample = (view) => {
    rates.add(view.now, view.stats?.requests?.perSecond);
    failures.add(view.now, view.stats?.errors?.perMinute);
  };
  return { render, sample };
}

function fill(node, requests) {
  const latency = requests.latencyMs ?? {};
  node.set("perSecond", decimal(requests.perSecond));
  node.set("errorRate", percent(requests.errorRate), { tone: requests.errorRate >= 0.05 ? "bad" : requests.errorRate > 0 ? "warn" : null });
  for (const name of ["p50", "p95", "p99"]) node.set(name, millis(latency[name]));
  node.set("slow", count(requests.slow), { tone: requests.slow > 0 ? "warn" : null });
  node.set("inFlight", count(requests.inFlight));
  node.set("total", count(requests.total));
}
