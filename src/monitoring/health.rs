//! Health (floor 3): one verdict, since when, and why.
//!
//! What must stay true: healthy means that both databases read and write and nothing is piling up; degraded means
//! that something is refused or delayed while the rest goes on; unhealthy means that the application's data can't
//! be read. Each reason is in `because`, and `since` changes only when the status does. Called by `api` and `alerts`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use super::breakers::Evidence;
use super::requests::Requests;
use crate::clock::{SharedClock, rfc3339_ms};
use crate::db::disk::Space;
use crate::db::{Database, DatabaseStatus};
use crate::events::retention::Retention;
use crate::events::tail::Tails;
use crate::events::{DropReason, EventLog};

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Everything works.
    Healthy,
    /// Something doesn't; the rest does.
    Degraded,
    /// Application data can't be read.
    Unhealthy,
}

/// One part's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its verdict.
    pub status: HealthStatus,
    /// What else is known.
    #[serde(flatten)]
    pub more: Value,
}

/// Everything about health.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Whether both databases read and write.
    pub database_healthy: bool,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// Why it isn't better.
    pub because: Vec<String>,
    /// Part by part.
    pub components: Vec<(&'static str, Component)>,
}

/// What health and statistics are made from; managed state.
pub struct Monitor {
    /// The application's database.
    pub app: Database,
    /// The event database.
    pub events: Database,
    /// The event log.
    pub log: EventLog,
    /// Requests.
    pub requests: Arc<Requests>,
    /// Where the files live.
    pub data_dir: PathBuf,
    /// Time.
    pub clock: SharedClock,
    /// When the service began.
    pub began: Instant,
    /// The bounds of the event log.
    pub retention: Retention,
    /// Readers of the live tail.
    pub tails: Tails,
    /// Events behind the breakers' states.
    pub evidence: Arc<Evidence>,
    /// Since when the status is what it is.
    since: Mutex<(HealthStatus, Timestamp)>,
}

impl Monitor {
    /// Healthy from now on, until somebody looks.
    pub fn new(
        (app, events): (Database, Database),
        (log, retention, tails): (EventLog, Retention, Tails),
        requests: Arc<Requests>,
        data_dir: PathBuf,
        clock: SharedClock,
        evidence: Arc<Evidence>,
    ) -> Self {
        let since = Mutex::new((HealthStatus::Healthy, clock.wall()));
        let began = clock.now();
        Self {
            app,
            events,
            log,
            requests,
            data_dir,
            clock,
            began,
            retention,
            tails,
            evidence,
            since,
        }
    }

    /// Seconds since the service began.
    pub fn uptime_seconds(&self) -> u64 {
        self.clock.now().saturating_duration_since(self.began).as_secs()
    }

    /// The health of now.
    pub fn health(&self) -> Health {
        let mut because = Vec::new();
        let databases = [self.app.status(), self.events.status()];
        let backups = super::damage::has_backups(&self.data_dir);
        let mut components = vec![
            ("appDatabase", database_component(&databases[0], backups, &mut because)),
            (
                "eventsDatabase",
                database_component(&databases[1], backups, &mut because),
            ),
        ];
        components.push(("spool", self.spool_component(&mut because)));
        components.push(("disk", self.disk_component(&databases, &mut because)));
        // Without the event database reading, only the log can't be shown; without the application's, users can't work.
        let status = match components
            .iter()
            .find(|(name, c)| *name == "appDatabase" && c.status == HealthStatus::Unhealthy)
        {
            Some(_) => HealthStatus::Unhealthy,
            None if components.iter().all(|(_, c)| c.status == HealthStatus::Healthy) => HealthStatus::Healthy,
            None => HealthStatus::Degraded,
        };
        let mut since = self.since.lock();
        if since.0 != status {
            *since = (status, self.clock.wall());
        }
        let database_healthy = databases.iter().all(DatabaseStatus::is_healthy);
        Health {
            status,
            database_healthy,
            since: since.1,
            because,
            components,
        }
    }

    fn spool_component(&self, because: &mut Vec<String>) -> Component {
        let spool = self.log.spool_status();
        let mut status = HealthStatus::Healthy;
        if spool.events > 0 {
            status = HealthStatus::Degraded;
            because.push(format!(
                "spool: {} events wait to be stored in the event database",
                spool.events
            ));
        }
        // Nobody can bring them back, so it is told until the next start.
        let lost = self.log.ledger().dropped.of(DropReason::SpoolDamaged);
        if lost > 0 {
            status = HealthStatus::Degraded;
            because.push(format!(
                "spool: {lost} accepted events were damaged or missing and are lost"
            ));
        }
        if let Some(error) = &spool.last_error {
            status = HealthStatus::Degraded;
            because.push(format!("spool: {error}"));
        }
        let more = json!({ "events": spool.events, "bytes": spool.bytes, "segments": spool.segments, "lost": lost });
        Component { status, more }
    }

    fn disk_component(&self, databases: &[DatabaseStatus], because: &mut Vec<String>) -> Component {
        let space = Space::of(&self.data_dir);
        let mut short = space.map(|space| space.shortages()).unwrap_or_default();
        let full = databases.iter().filter(|database| database.disk_is_full);
        short.extend(full.map(|database| {
            format!(
                "full: {} takes no changes until there is room ({})",
                database.name,
                database
                    .reserve
                    .missing
                    .as_deref()
                    .unwrap_or("a write of full size does not pass yet")
            )
        }));
        because.extend(short.iter().map(|what| format!("disk: {what}")));
        let held = databases.iter().map(|database| database.reserve.bytes).sum::<u64>();
        let missing = databases.iter().find_map(|database| database.reserve.missing.as_ref());
        Component {
            status: if short.is_empty() {
                HealthStatus::Healthy
            } else {
                HealthStatus::Degraded
            },
            more: json!({
                "freeBytes": space.map(|s| s.free_bytes),
                "freeInodes": space.and_then(|s| s.free_inodes),
                "reserveBytes": held,
                "reserveMissing": missing,
                "detail": (!short.is_empty()).then(|| short.join("; ")),
            }),
        }
    }
}

fn database_component(database: &DatabaseStatus, backups: bool, because: &mut Vec<String>) -> Component {
    let before = because.len();
    for breaker in database.breakers.iter().filter(|b| !b.is_healthy()) {
        let wait = breaker.retry_after.map_or_else(String::new, |after| {
            format!(", next try in {} s", after.as_secs_f64().ceil())
        });
        because.push(format!(
            "{}: circuit breaker {}{wait}: {}",
            breaker.name,
            breaker.state.replace('_', " "),
            breaker.cause
        ));
    }
    if let Some(damage) = &database.damage {
        because.extend(super::damage::in_words(database.name, damage, backups));
    }
    if because.len() == before
        && let Some(problem) = database.probe.as_ref().and_then(|probe| probe.problem())
    {
        because.push(format!("{}: {problem}", database.name));
    }
    if let Some(gap) = &database.missing_commits {
        because.push(format!("{}.db: {gap}", database.name));
    }
    // The breaker's cause names the lock's holder already.
    let waits = database.writes_wait().filter(|_| because.len() == before);
    let hindered = [database.wal.problem(), waits, database.overload()];
    let told = hindered.iter().flatten();
    because.extend(told.map(|problem| format!("{}: {problem}", database.name)));
    let status = match (database.is_healthy(), database.can_read()) {
        // It works, but not with all that was promised: a gap is told for a day, whoever restarts it meanwhile.
        (true, _) if database.missing_commits.is_some() || hindered.iter().any(Option::is_some) => {
            HealthStatus::Degraded
        }
        (true, _) => HealthStatus::Healthy,
        (false, true) => HealthStatus::Degraded,
        (false, false) => HealthStatus::Unhealthy,
    };
    let probe = database.probe.as_ref();
    let more = json!({
        "responseMs": probe.map(|p| (p.read_time.as_secs_f64() * 100_000.0).round() / 100.0),
        "writeMs": probe.and_then(|p| p.write_time).map(|t| (t.as_secs_f64() * 100_000.0).round() / 100.0),
        "checkedAt": probe.map(|p| rfc3339_ms(p.at)),
        "detail": because.get(before),
        "damage": database.damage.as_ref().map(super::damage::view),
    });
    Component { status, more }
}
