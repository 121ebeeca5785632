// The process and its disk: memory, processor, files, and how long the disk will last.
import { byId } from "../dom.js";
import { bytes, count, NONE, percent, span } from "../format.js";
import { facts } from "../parts.js";

// Below these the disk is worth a colour.
const FEW_DAYS = 14;
const LITTLE_BYTES = 1 << 30;

/** The process's panel. */
export function processPanel() {
  const node = facts(["uptime", "Uptime"], ["memory", "Memory"], ["cpu", "Processor"], ["threads", "Threads"], ["files", "Open files"],
    ["disk", "Disk free"], ["full", "Disk full in"]);
  byId("process").append(node.node);
  const load = loadMeter();
  return (view) => {
    const process = view.stats?.process ?? {};
    const disk = view.stats?.disk ?? {};
    node.set("uptime", span(view.stats?.uptimeSeconds ?? view.health?.uptimeSeconds));
    node.set("memory", bytes(process.residentBytes));
    const used = typeof process.cpuSeconds === "number" ? `${span(process.cpuSeconds)} in all` : "";
    node.set("cpu", percent(load(view.stats)), { note: used });
    node.set("threads", count(process.threads));
    node.set("files", count(process.openFiles));
    node.set("disk", bytes(disk.freeBytes), { tone: disk.freeBytes < LITTLE_BYTES ? "bad" : null });
    const days = disk.daysUntilFull;
    const soon = typeof days === "number" && days < FEW_DAYS;
    node.set("full", typeof days === "number" ? span(days * 86_400) : NONE, { tone: soon ? "bad" : null, title: typeof days === "number" ? null : "Not foreseeable" });
  };
}

/** Share of one processor between two states, from the server's own two clocks. */
function loadMeter() {
  let last = null;
  let share = null;
  return (stats) => {
    const [up, cpu] = [stats?.uptimeSeconds, stats?.process?.cpuSeconds];
    if (typeof up !== "number" || typeof cpu !== "number") return null;
    if (last && up < last.up) [last, share] = [null, null];
    if (last && up - last.up >= 2) {
      share = Math.max(cpu - last.cpu, 0) / (up - last.up);
      last = { up, cpu };
    }
    last ??= { up, cpu };
    return share;
  };
}
