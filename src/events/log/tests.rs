//! Tests of the whole event path with a sink that can be told to fail: stored, spooled, replayed, counted.

use parking_lot::Mutex;
use rusqlite::Connection;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::db::{DbError, ErrorKind, LogGeneration};
use crate::events::capture::{Capture, channel};
use crate::events::group::Engine;
use crate::events::ledger::DropReason;
use crate::events::occurrence::{EventContext, NewEvent};
use crate::events::sink::Later;
use crate::events::store::{self, Inserted, Prepared};
use crate::events::{parse, schema};

/// How the sink behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// Refuses at once, as an open breaker does.
    Open,
    /// Stores and says that the outcome is unknown.
    Unknown,
    /// Never answers, as one that waits for a lock.
    Hangs,
}

#[derive(Clone)]
struct TestSink {
    connection: Arc<Mutex<Connection>>,
    mood: Arc<Mutex<Mood>>,
    groups: Arc<Mutex<Groups>>,
}

mod account;
mod import;

impl TestSink {
    fn insert(&self, batch: &[Prepared]) -> Vec<Inserted> {
        let (connection, mut groups) = (self.connection.lock(), self.groups.lock());
        store::insert_thinned(&connection, batch, &mut Engine::default(), &mut groups).unwrap()
    }
}

impl Sink for TestSink {
    fn write(&self, batch: Arc<Vec<Prepared>>) -> Later<'_, Result<Vec<Inserted>, DbError>> {
        Box::pin(async move {
            let error = |kind| DbError::new("events", "events.ingest", kind);
            let mood = *self.mood.lock();
            if mood == Mood::Open {
                return Err(error(ErrorKind::CircuitOpen {
                    cause: "test".to_owned(),
                    told: crate::db::classify::Told::Busy,
                }));
            }
            if mood == Mood::Hangs {
                std::future::pending::<()>().await;
            }
            if batch.iter().any(|one| one.event.message == "poison") {
                return Err(error(ErrorKind::Sqlite { code: 275 }));
            }
            let inserted = self.insert(&batch);
            if mood == Mood::Unknown {
                Err(error(ErrorKind::OutcomeUnknown))
            } else {
                Ok(inserted)
            }
        })
    }

    fn queue(&self, batch: Arc<Vec<Prepared>>) -> Option<Later<'_, Result<Vec<Inserted>, DbError>>> {
        Some(self.write(batch))
    }

    fn admits(&self) -> bool {
        *self.mood.lock() != Mood::Open
    }

    fn disk_was_full(&self) -> Later<'_, bool> {
        Box::pin(async { false })
    }

    fn log_generation(&self) -> Later<'_, Option<LogGeneration>> {
        Box::pin(async { None })
    }
}

struct Bench {
    folder: tempfile::TempDir,
    sink: TestSink,
    log: EventLog,
    capture: Capture,
}

fn bench() -> Bench {
    bench_with(64 << 20)
}

fn bench_with(spool_bytes: u64) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let connection = Arc::new(Mutex::new(schema::connection()));
    let sink = TestSink {
        connection,
        mood: Arc::new(Mutex::new(Mood::Well)),
        groups: Arc::new(Mutex::new(Groups::new(u32::MAX, Arc::default()))),
    };
    let (log, capture) = start(folder.path(), &sink, spool_bytes);
    Bench {
        folder,
        sink,
        log,
        capture,
    }
}

fn start(folder: &std::path::Path, sink: &TestSink, spool_bytes: u64) -> (EventLog, Capture) {
    let (capture, captures) = channel(SystemClock::shared());
    let spool = Spool::open(folder, spool_bytes).unwrap();
    (EventLog::with_sink(Box::new(sink.clone()), spool, captures), capture)
}

impl Bench {
    fn set(&self, mood: Mood) {
        *self.sink.mood.lock() = mood;
    }

    fn rows(&self) -> u64 {
        let count: i64 = self
            .sink
            .connection
            .lock()
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .unwrap();
        count.unsigned_abs()
    }

    fn balanced(&self) -> LedgerSnapshot {
        let ledger = self.log.ledger();
        assert!(ledger.balanced(), "{ledger:?}");
        ledger
    }
}

fn event(message: &str) -> ErrorEvent {
    parse::event(
        &serde_json::json!({ "message": message }).to_string(),
        SystemClock.wall(),
    )
    .unwrap()
}

fn events(count: usize) -> Vec<ErrorEvent> {
    (0..count).map(|n| event(&format!("event {n}"))).collect()
}

/// Waits until `done`, looking often; a minute is far beyond any honest wait.
async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn events_are_stored_and_counted() {
    let bench = bench();
    let sent = events(3);
    let mut live = bench.log.subscribe();
    let outcomes = bench.log.ingest(sent.clone()).await;
    assert_eq!(outcomes, [IngestOutcome::Stored { group_id: 1 }; 3]);
    assert_eq!(live.recv().await.unwrap().event.id, sent[0].id);
    assert_eq!(
        bench.log.ingest(sent[..2].to_vec()).await,
        [IngestOutcome::Duplicate; 2]
    );
    let ledger = bench.balanced();
    assert_eq!(
        (ledger.accepted, ledger.stored, ledger.duplicates, bench.rows()),
        (3, 3, 2, 3)
    );
    assert_eq!(bench.log.per_minute(), 3);
    assert!(bench.log.ingest(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn a_large_ingest_keeps_its_order() {
    let bench = bench();
    let sent = events(1500);
    bench.log.ingest(vec![sent[700].clone()]).await;
    let outcomes = bench.log.ingest(sent).await;
    assert_eq!(outcomes.len(), 1500);
    for (at, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome == IngestOutcome::Duplicate, at == 700, "{at}");
    }
    assert_eq!((bench.balanced().stored, bench.rows()), (1500, 1500));
}

#[tokio::test]
async fn what_cannot_be_stored_is_spooled_and_found_exactly_once_afterwards() {
    let bench = bench();
    bench.set(Mood::Open);
    let sent = events(600);
    assert!(
        bench
            .log
            .ingest(sent.clone())
            .await
            .iter()
            .all(|o| *o == IngestOutcome::Spooled)
    );
    bench.capture.capture(NewEvent::http_failure(
        503,
        "database_busy",
        "busy",
        EventContext::default(),
    ));
    until("the captured event is spooled", || bench.log.ledger().spooled == 601).await;
    assert_eq!((bench.rows(), bench.log.spool_status().events), (0, 601));
    bench.balanced();

    bench.set(Mood::Well);
    until("the spool is empty", || bench.log.spool_status().events == 0).await;
    let ledger = bench.balanced();
    assert_eq!(
        (ledger.accepted, ledger.stored, ledger.spooled, bench.rows()),
        (601, 601, 0, 601)
    );
    assert!(
        bench
            .log
            .ingest(sent)
            .await
            .iter()
            .all(|o| *o == IngestOutcome::Duplicate)
    );
}

#[tokio::test]
async fn an_unknown_outcome_does_not_store_twice() {
    let bench = bench();
    bench.set(Mood::Unknown);
    assert_eq!(bench.log.ingest(events(5)).await, [IngestOutcome::Spooled; 5]);
    bench.set(Mood::Well);
    until("the spool is empty", || bench.log.spool_status().events == 0).await;
    assert_eq!((bench.rows(), bench.balanced().stored), (5, 5));
}

#[tokio::test]
async fn a_new_process_replays_what_the_last_one_left() {
    let bench = bench();
    bench.set(Mood::Open);
    bench.log.ingest(events(300)).await;
    // The old one's files as a kill leaves them, taken over by another one.
    let (log, _capture) = start(bench.folder.path(), &bench.sink, 64 << 20);
    assert_eq!((log.ledger().accepted, log.ledger().spooled), (300, 300));
    bench.log.drain(Duration::from_secs(60)).await;
    bench.set(Mood::Well);
    until("the spool is empty", || log.spool_status().events == 0).await;
    assert_eq!(bench.rows(), 300);
    assert!(log.ledger().balanced());
}

#[tokio::test]
async fn one_event_that_can_never_be_stored_does_not_hold_up_the_rest() {
    let bench = bench();
    bench.set(Mood::Open);
    let mut sent = events(10);
    sent.insert(4, event("poison"));
    bench.log.ingest(sent).await;
    bench.set(Mood::Well);
    until("the spool is empty", || bench.log.spool_status().events == 0).await;
    let ledger = bench.balanced();
    assert_eq!(
        (bench.rows(), ledger.stored, ledger.dropped.of(DropReason::SpoolDamaged)),
        (10, 10, 1)
    );
    assert_eq!(bench.log.spool_status().kept_aside, 1);
}

#[tokio::test]
async fn draining_gives_every_captured_event_its_outcome() {
    let bench = bench();
    for _ in 0..700 {
        bench.capture.capture(NewEvent::http_failure(
            500,
            "internal",
            "Internal error",
            EventContext::default(),
        ));
    }
    assert!(bench.log.drain(Duration::from_secs(60)).await);
    let ledger = bench.balanced();
    assert_eq!((ledger.in_flight, ledger.stored, bench.rows()), (0, 700, 700));
}
