//! The rules (floor 4, pure): from facts to the alerts that they justify, with what to do.

use serde::Serialize;

use crate::db::classify::Gravity;
use crate::db::{BreakerStatus, DatabaseStatus};

/// What the rules look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The databases.
    pub databases: [DatabaseStatus; 2],
    /// Events lost since the start.
    pub events_lost: u64,
    /// Events waiting in the spool.
    pub events_spooled: u64,
    /// Share of requests answered with 5xx in the last minute, 0 to 1.
    pub error_rate: f64,
    /// Requests answered in the last minute.
    pub requests_last_minute: u64,
    /// Why the event log isn't what its bounds say, in words.
    pub retention: Option<String>,
}

/// An alert that the facts justify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Stable for its cause: `breaker:app.write`.
    pub id: String,
    /// How bad.
    pub severity: Gravity,
    /// In a line.
    pub title: String,
    /// With the evidence.
    pub detail: String,
    /// What to do, step by step.
    pub runbook: Vec<String>,
}

/// Fewer requests than this in a minute say nothing about a rate.
const ENOUGH_REQUESTS: u64 = 20;
const HIGH_ERROR_RATE: f64 = 0.05;
const BUSY_POOL: f64 = 0.8;

/// The alerts that `facts` justify, worst first.
pub fn rules(facts: &Facts) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for database in &facts.databases {
        alerts.extend(database.breakers.iter().filter(|b| !b.is_healthy()).map(breaker_open));
        alerts.extend(pool(database));
        alerts.extend(log_pinned(database));
        alerts.extend(commits_missing(database));
    }
    alerts.extend(error_rate(facts));
    alerts.extend(event_loss(facts));
    alerts.extend(spooled(facts));
    alerts.extend(retention(facts));
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    alerts
}

fn steps(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn breaker_open(breaker: &BreakerStatus) -> Alert {
    let wait = breaker
        .retry_after
        .map_or_else(String::new, |after| format!(" Next try in {} s.", after.as_secs() + 1));
    Alert {
        id: format!("breaker:{}", breaker.name),
        severity: Gravity::Critical,
        title: format!("{} is {}", breaker.name, breaker.state.replace('_', " ").to_lowercase()),
        detail: format!(
            "Cause: {}.{wait} Refused since the start: {}.",
            breaker.cause, breaker.not_permitted_calls
        ),
        runbook: breaker_steps(breaker),
    }
}

fn breaker_steps(breaker: &BreakerStatus) -> Vec<String> {
    match breaker.state {
        "ISOLATED" => steps(&[
            "Do not restart or delete anything yet: the file was found damaged, moved or replaced.",
            "Health says what the check found and which folder in evidence/ holds a copy of the file; without one, copy it.",
            "Put the right file back; service resumes when it passes its check. Restoring a backup needs a restart.",
            "Where only an index is wrong: POST /api/monitoring/databases/{name}/reindex makes it anew.",
        ]),
        "FORCED_OPEN" => steps(&[
            "Somebody opened it by hand; the event that says so carries the request.",
            "When the reason is over: POST /api/monitoring/circuit-breaker/reset.",
        ]),
        _ => steps(&[
            "Read the cause above: it names the process that holds a lock, where the system tells (otherwise: fuser -v FILE).",
            "Full or read-only: free space on the disk, check the mount and the permissions of the data folder.",
            "Nothing needs a restart: a probe closes the breaker when the cause is gone.",
            "To force it: POST /api/monitoring/circuit-breaker/reset.",
        ]),
    }
}

fn pool(database: &DatabaseStatus) -> Option<Alert> {
    let pool = &database.pool;
    let busy = pool.utilization() >= BUSY_POOL;
    (pool.waiting > 0 || busy).then(|| Alert {
        id: format!("pool:{}", database.name),
        severity: if pool.waiting > 0 { Gravity::High } else { Gravity::Low },
        title: format!(
            "{} readers are {} busy",
            database.name,
            if pool.waiting > 0 { "too" } else { "nearly all" }
        ),
        detail: format!(
            "{} of {} in use, {} waiting, waits p95 {:.1} ms.",
            pool.in_use, pool.limit, pool.waiting, pool.wait_ms.p95
        ),
        runbook: steps(&[
            "Look for slow statements in the log (DB_SLOW_QUERY_MS) and for long lists without a limit.",
            "Raise DB_POOL_MAX if the processor is idle while callers wait.",
        ]),
    })
}

fn log_pinned(database: &DatabaseStatus) -> Option<Alert> {
    let problem = database.wal.problem()?;
    Some(Alert {
        id: format!("wal:{}", database.name),
        severity: Gravity::Medium,
        title: format!("The write-ahead log of {} can't shrink", database.name),
        detail: format!("{}: {problem}.", database.name),
        runbook: steps(&[
            "A reader in another process is named with its pid: end its transaction or that process; it can't be ended from here.",
            "A reader of this process ends at its deadline (DB_OPERATION_TIMEOUT_MS).",
            "Nothing more is needed: the log is shortened within seconds of the reader's end.",
        ]),
    })
}

fn commits_missing(database: &DatabaseStatus) -> Option<Alert> {
    let gap = database.missing_commits.as_ref()?;
    Some(Alert {
        id: format!("commits-missing:{}", database.name),
        severity: Gravity::Critical,
        title: format!("{} lacks changes that were acknowledged", database.name),
        detail: format!("{}.db: {gap}.", database.name),
        runbook: steps(&[
            "If an older copy was put back, or the record of commits was removed: this is as expected.",
            "Otherwise the disk lost or changed what it had been given: look at the kernel's log, and test the disk.",
            "Where a folder in evidence/ is named, it holds the write-ahead log before it was cut; keep it, and a copy of the database file beside it, for an attempt at recovery.",
            "Whoever changed something shortly before the start that found this should check it. Reported events that had gone through the spool were brought in again by themselves.",
            "Nothing else is to be done: it is told for 24 hours, over restarts, and then no more.",
        ]),
    })
}

fn error_rate(facts: &Facts) -> Option<Alert> {
    let high = facts.requests_last_minute >= ENOUGH_REQUESTS && facts.error_rate >= HIGH_ERROR_RATE;
    high.then(|| Alert {
        id: "error-rate".into(),
        severity: Gravity::High,
        title: "Many requests fail".into(),
        detail: format!(
            "{:.0} % of {} requests in the last minute.",
            facts.error_rate * 100.0,
            facts.requests_last_minute
        ),
        runbook: steps(&[
            "Look at the newest error events: they carry the request id, the path and the cause.",
            "If a breaker is open, deal with it first: its refusals are counted here too.",
        ]),
    })
}

fn event_loss(facts: &Facts) -> Option<Alert> {
    (facts.events_lost > 0).then(|| Alert {
        id: "event-loss".into(),
        severity: Gravity::High,
        title: "Error events were lost".into(),
        detail: format!(
            "{} events since the start; the ledger in /api/monitoring/stats names the reasons.",
            facts.events_lost
        ),
        runbook: steps(&[
            "Free space for data/spool, or raise MAINSTAY_SPOOL_MAX_MIB.",
            "Find the source of the flood.",
        ]),
    })
}

fn spooled(facts: &Facts) -> Option<Alert> {
    (facts.events_spooled > 0).then(|| Alert {
        id: "spool".into(),
        severity: Gravity::Medium,
        title: "Error events wait in the spool".into(),
        detail: format!(
            "{} events are safe on disk and will be stored when the event database takes them.",
            facts.events_spooled
        ),
        runbook: steps(&["Nothing to do, unless it lasts: then look at the events.write circuit breaker."]),
    })
}

fn retention(facts: &Facts) -> Option<Alert> {
    let problem = facts.retention.as_ref()?;
    Some(Alert {
        id: "retention".into(),
        severity: Gravity::High,
        title: "The event log is not within its usual bounds".into(),
        detail: format!("{problem}."),
        runbook: steps(&[
            "Where the clock is named, set it (`timedatectl` tells how it stands); one that is right is believed after a day.",
            "Free space on the disk; `GET /api/monitoring/retention` shows what events.db, its log, the spool and evidence/ take.",
            "Lower MAINSTAY_EVENTS_MAX_MIB or MAINSTAY_EVENTS_MAX_DAYS, so that the log leaves more room by itself.",
            "A file that can't give pages back wants one VACUUM while Mainstay is stopped: the README says how.",
        ]),
    })
}

#[cfg(test)]
mod tests;
