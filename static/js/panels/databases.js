// One panel for each database file: healthy, sizes, the pool of readers, the queue of the writer.
import { byId, el, setAttr, setText } from "../dom.js";
import { iconSlot } from "../icons.js";
import { bytes, count, decimal, millis, NONE, percent, plural } from "../format.js";
import { facts, poolMeter } from "../parts.js";

/** The panel of the database `name`, filled into the place `id`. */
export function databasePanel(name, id) {
  const place = byId(id);
  const mark = el("span");
  const word = el("span");
  const verdict = el("p", "verdict", mark, word);
  const draw = iconSlot(mark);
  const file = facts(["size", "Size"], ["wal", "WAL"], ["retries", "Retries"], ["gaveUp", "Given up"]);
  const usage = el("span");
  const meter = poolMeter();
  const box = el("div", "meter-box", el("h3", "", "Readers in use", usage), meter.node);
  const pool = facts(["waiting", "Waiting"], ["waitP50", "Wait p50"], ["waitP95", "Wait p95"], ["timeouts", "Wait timeouts"]);
  const writer = facts(["queued", "Writer queue"], ["batch", "Batch p50 / p95"], ["commit", "Commit p50"], ["commit95", "Commit p95"], ["commits", "Commits"], ["jobs", "Writes"]);
  place.append(verdict, file.node, box, pool.node, writer.node);
  return (view) => {
    const database = view.stats?.databases?.[name] ?? {};
    const tone = { true: "ok", false: "bad" }[database.healthy] ?? "unknown";
    setAttr(verdict, "data-tone", tone);
    draw(tone);
    setText(word, { ok: "Healthy", bad: "Not healthy", unknown: "Not known" }[tone]);
    fillFile(file, database);
    fillPool(pool, database.pool ?? {});
    meter.set(database.pool ?? {});
    setText(usage, usageText(database.pool));
    fillWriter(writer, database.writer ?? {});
  };
}

function fillFile(file, database) {
  const retries = database.retries ?? {};
  file.set("size", bytes(database.sizeBytes));
  file.set("wal", bytes(database.walBytes));
  file.set("retries", count(retries.attempts), { note: retries.budgetLeft === undefined ? "" : `budget ${decimal(retries.budgetLeft)}` });
  file.set("gaveUp", count(retries.gaveUp), { tone: retries.gaveUp > 0 ? "warn" : null });
}

function usageText(pool) {
  if (!pool) return NONE;
  const parts = [`${count(pool.inUse)} of ${count(pool.limit)}`, `${count(pool.open)} open`, `at most ${count(pool.max)}`];
  if (typeof pool.utilization === "number") parts.push(percent(pool.utilization));
  return parts.join(" · ");
}

function fillPool(node, pool) {
  node.set("waiting", count(pool.waiting), { tone: pool.waiting > 0 ? "warn" : null });
  node.set("waitP50", millis(pool.waitMs?.p50));
  node.set("waitP95", millis(pool.waitMs?.p95));
  node.set("timeouts", count(pool.timeouts), { tone: pool.timeouts > 0 ? "warn" : null });
}

function fillWriter(node, writer) {
  const batch = writer.batchSize ?? {};
  const commits = plural(writer.commits, "commit");
  node.set("queued", count(writer.queued), { tone: writer.queued > 0 ? "info" : null });
  node.set("batch", `${decimal(batch.p50)} / ${decimal(batch.p95)}`, { title: `Writes that share one commit; ${commits}` });
  node.set("commit", millis(writer.commitMs?.p50));
  node.set("commit95", millis(writer.commitMs?.p95));
  node.set("commits", count(writer.commits));
  node.set("jobs", count(writer.jobs));
}
