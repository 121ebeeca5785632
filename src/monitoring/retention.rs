//! The bounds of the event log as they are shown (floor 3): what is allowed, what is in use, what left, and why.

use serde_json::{Map, Value, json};

use super::health::Monitor;
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::retention::{Bounds, Preview, Reason, RetentionStatus, Run, Tier};

impl Monitor {
    /// What is allowed, what is in use, and what left.
    pub fn retention_view(&self) -> Value {
        let status = self.retention.status();
        let spool = self.log.spool_status();
        let measure = status.measure;
        json!({
            "bounds": bounds_view(&status),
            "use": {
                "events": measure.map(|m| m.events),
                "occurrences": measure.map(|m| m.occurrences),
                "oldest": measure.and_then(|m| m.oldest_ms).map(|ms| rfc3339_ms(from_epoch_ms(ms))),
                "bytes": measure.map(|m| m.used_bytes),
                "freeBytesInFile": measure.map(|m| m.free_bytes),
                "walBytes": self.events.status().wal.bytes,
                "spoolBytes": spool.bytes + spool.replayed_bytes + spool.spare_bytes,
                "evidenceBytes": bytes_below(&self.data_dir.join("evidence"), 2),
            },
            "givesBack": measure.map(|m| m.gives_back),
            "removed": self.removed_view(),
            "running": status.is_running,
            "lastRun": status.last_run.map(|run| run_view(&run)),
            "nextLookAt": rfc3339_ms(status.next_look),
            "makesRoom": status.makes_room,
            "unmet": status.unmet,
            "clock": clock_view(&status),
            "lastError": status.last_error,
        })
    }

    /// What ever left, by reason.
    pub fn removed_view(&self) -> Value {
        let status = self.retention.status();
        let mut removed = by_reason(&status.left.map(|left| left.events));
        let [purge, erased] = status.left_by_hand;
        (removed["purge"], removed["erased"]) = (json!(purge), json!(erased));
        removed
    }
}

/// What would leave: rows, as the bounds count them, and occurrences, as what left is counted.
pub fn preview_view(preview: &Preview) -> Value {
    let removed: u64 = preview.removed.iter().sum();
    let [by_age, by_worth] = preview.removed_occurrences;
    let tiers = Tier::ALL.iter().zip(preview.by_tier);
    json!({
        "removed": removed,
        "kept": preview.events.saturating_sub(removed),
        "byReason": by_reason(&preview.removed),
        "occurrences": {
            "removed": by_age + by_worth, "kept": preview.occurrences.saturating_sub(by_age + by_worth),
            "byAge": by_age, "byWorth": by_worth,
        },
        "byWorth": tiers.map(|(tier, count)| (tier.name().to_owned(), json!(count))).collect::<Map<_, _>>(),
    })
}

fn by_reason(counts: &[u64; Reason::ALL.len()]) -> Value {
    let reasons = Reason::ALL.iter().zip(counts);
    Value::Object(
        reasons
            .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
            .collect(),
    )
}

fn bounds_view(status: &RetentionStatus) -> Value {
    let Bounds {
        max_age,
        max_count,
        max_bytes,
        max_disk_percent,
    } = status.bounds;
    json!({
        "maxDays": max_age.map(|age| age.as_secs() / 86_400), "maxCount": max_count, "maxBytes": max_bytes,
        "maxDiskPercent": max_disk_percent, "budgetBytes": status.budget_bytes,
    })
}

/// The time by which ages are judged, and what is wrong with the wall clock where it is another.
fn clock_view(status: &RetentionStatus) -> Value {
    let Some(clock) = status.clock else { return Value::Null };
    let is_doubted = clock.ahead_ms != 0;
    json!({
        "believed": rfc3339_ms(from_epoch_ms(clock.believed_ms)), "aheadSeconds": clock.ahead_ms / 1000,
        "confirmedInSeconds": is_doubted.then_some(clock.confirmed_in.as_secs()), "problem": status.clock_problem(),
    })
}

fn run_view(run: &Run) -> Value {
    json!({
        "at": rfc3339_ms(run.began), "tookMs": run.took.as_millis() as u64, "removed": by_reason(&run.removed),
        "groups": run.groups, "givenBackBytes": run.given_back_bytes,
        "longestStepMs": (run.longest_step.as_secs_f64() * 10_000.0).round() / 10.0,
    })
}

/// What the files below a folder take, so many folders deep; 0 where there is none.
fn bytes_below(folder: &std::path::Path, depth: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() && depth > 0 => bytes_below(&entry.path(), depth - 1),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
