//! Bounds on a real file: with clocks that are wrong, and with storms.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, ManualClock, epoch_ms, from_epoch_ms};
use crate::config::{DatabaseSettings, IngestSettings};
use crate::db::{Options, Unobserved};
use crate::events::{MIGRATIONS, Spool, channel, parse};

const NOW: i64 = 1_750_000_000_000;
const DAY_MS: i64 = 86_400_000;

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

struct Opened {
    log: EventLog,
    database: Database,
    retention: Retention,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(ManualClock::starting_at(from_epoch_ms(NOW))),
        }
    }

    fn open(&self) -> Opened {
        self.bounded(None)
    }

    fn bounded(&self, max_count: Option<u64>) -> Opened {
        let clock: SharedClock = self.clock.clone();
        let options = Options {
            name: "events",
            path: self.folder.path().join("events.db"),
            application_id: 1,
            migrations: MIGRATIONS,
            settings: DatabaseSettings::default(),
        };
        let database = Database::open(options, clock.clone(), Arc::new(Unobserved)).expect("opens");
        let (capture, captures) = channel(clock.clone());
        let spool = Spool::open(&self.folder.path().join("spool"), 1 << 20).expect("opens");
        let (operation, ingest) = (DatabaseSettings::default().operation, IngestSettings::default());
        let log = EventLog::start_limited(database.clone(), spool, captures, &operation, &ingest);
        let bounds = Bounds {
            max_age: Some(Duration::from_secs(90 * 86_400)),
            max_count,
            ..Bounds::default()
        };
        let retention = Retention::new(database.clone(), log.clone(), bounds, capture, clock);
        Opened {
            log,
            database,
            retention,
        }
    }

    /// An event of every day up to now, the oldest of them so many days ago.
    async fn fill(&self, opened: &Opened, days: i64) {
        let now = self.clock.wall();
        let event = |day: i64| {
            let at = crate::clock::rfc3339_ms(from_epoch_ms(epoch_ms(now) - day * DAY_MS));
            parse::event(&format!(r#"{{"message":"m","timestamp":"{at}"}}"#), now).expect("sound")
        };
        opened.log.ingest((0..days).map(event).collect()).await;
    }
}

impl Opened {
    async fn looked(&self) -> (u64, RetentionStatus) {
        self.retention.look(false).await.expect("looked");
        let status = self.retention.status();
        (status.measure.expect("measured").events, status)
    }

    async fn close(self) {
        self.log.drain(Duration::from_secs(5)).await;
        self.database.close(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_machine_that_starts_in_the_far_future_loses_nothing_and_says_so() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.fill(&opened, 80).await;
    let (events, status) = opened.looked().await;
    assert_eq!((events, status.problem()), (80, None));
    opened.close().await;

    bench.clock.set_wall(from_epoch_ms(NOW + 12 * 365 * DAY_MS));
    let opened = bench.open();
    let (events, status) = opened.looked().await;
    assert_eq!(events, 80);
    let problem = status.problem().expect("told");
    assert!(problem.contains("12 years ahead"), "{problem}");
    let preview = opened.retention.preview(None).await.expect("previewed");
    assert_eq!(preview.removed, [0; Reason::ALL.len()]);
    opened.close().await;

    // NTP has set it, and the machine was off for a week: the week is believed.
    bench.clock.set_wall(from_epoch_ms(NOW + 20 * DAY_MS / 3));
    let opened = bench.open();
    assert_eq!(opened.looked().await.1.problem(), None);
    bench.clock.advance(Duration::from_secs(10 * 86_400));
    let (events, status) = opened.looked().await;
    assert_eq!((events, status.problem()), (74, None), "what became too old leaves");
    opened.close().await;
}

#[tokio::test]
async fn a_clock_that_stays_ahead_is_believed_after_a_day_of_running() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.fill(&opened, 80).await;
    opened.looked().await;
    bench.clock.set_wall(from_epoch_ms(NOW + 50 * DAY_MS));
    assert_eq!(opened.looked().await.0, 80);
    bench.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(opened.looked().await.0, 80);
    opened.close().await;
    let opened = bench.open();
    assert_eq!(opened.looked().await.0, 80, "a restart confirms nothing");
    bench.clock.advance(Duration::from_secs(12 * 3600));
    let (events, status) = opened.looked().await;
    assert_eq!((events, status.problem()), (40, None), "and forgets nothing");
    opened.close().await;
}

#[tokio::test]
async fn a_clock_in_the_past_removes_nothing_and_its_correction_only_what_is_too_old() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.fill(&opened, 80).await;
    opened.looked().await;
    opened.close().await;
    bench.clock.set_wall(from_epoch_ms(0));
    let opened = bench.open();
    let (events, status) = opened.looked().await;
    assert_eq!(events, 80);
    assert!(status.problem().is_some_and(|problem| problem.contains("behind")));
    bench.clock.set_wall(from_epoch_ms(NOW));
    let (events, status) = opened.looked().await;
    assert_eq!((events, status.problem()), (80, None));
    opened.close().await;
}

/// A storm of one group at the present time, of which most are counted on samples.
async fn storm(bench: &Bench, opened: &Opened, count: usize) {
    let now = bench.clock.wall();
    let event = |number: usize| {
        let severity = ["low", "high"][number % 2];
        let text = format!(r#"{{"message":"m","fingerprint":["storm"],"severity":"{severity}"}}"#);
        parse::event(&text, now).expect("sound")
    };
    opened.log.ingest((0..count).map(event).collect()).await;
}

#[tokio::test]
async fn what_a_preview_counts_is_what_then_leaves_in_rows_and_in_occurrences() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.fill(&opened, 85).await;
    storm(&bench, &opened, 5000).await;
    bench.clock.advance(Duration::from_secs(20 * 86_400));
    storm(&bench, &opened, 3000).await;
    opened.close().await;
    // Fourteen are too old by then; the others leave by their worth.
    for max_count in [2000, 100] {
        let opened = bench.bounded(Some(max_count));
        let preview = opened.retention.preview(None).await.expect("previewed");
        let before = opened.retention.status().measure.expect("measured");
        assert_eq!(
            (preview.events, preview.occurrences),
            (before.events, before.occurrences)
        );
        assert!(preview.occurrences > preview.events, "some stand for many");
        let (_, status) = opened.looked().await;
        let after = status.measure.expect("measured");
        assert_eq!(preview.removed.iter().sum::<u64>(), before.events - after.events);
        let left: u64 = status.last_run.expect("ran").removed.iter().sum();
        assert_eq!(left, before.occurrences - after.occurrences);
        assert_eq!(preview.removed_occurrences.iter().sum::<u64>(), left);
        assert_eq!(status.last_run.expect("ran").removed[0], preview.removed_occurrences[0]);
        opened.close().await;
    }
}
