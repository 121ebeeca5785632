//! The account under any sequence of faults: accepted = stored + spooled + in flight + dropped, and each of them is what is
//! really there.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::events::storm::Reporter;

/// Events of one group a minute that are stored whole, and of one source that are taken.
const PER_GROUP: u32 = 20;
const PER_SOURCE: u32 = 150;
/// So little that it is full now and then.
const SPOOL_BYTES: u64 = 40_000;

struct World {
    folder: tempfile::TempDir,
    sink: TestSink,
    log: EventLog,
    capture: Capture,
    /// Occurrences in events.db when the process started.
    before: u64,
    /// A write whose outcome wasn't known has put events there that the account has elsewhere until they are replayed.
    unknown: bool,
    sent: Vec<ErrorEvent>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sink = TestSink {
            connection: Arc::new(Mutex::new(schema::connection())),
            mood: Arc::new(Mutex::new(Mood::Well)),
            groups: Arc::new(Mutex::new(Groups::new(PER_GROUP, Arc::default()))),
        };
        let (log, capture) = begin(folder.path(), &sink);
        Self {
            folder,
            sink,
            log,
            capture,
            before: 0,
            unknown: false,
            sent: Vec::new(),
        }
    }

    fn occurrences(&self) -> u64 {
        let sql = "SELECT coalesce(sum(occurrences), 0) FROM events";
        let sum: i64 = self
            .sink
            .connection
            .lock()
            .query_row(sql, [], |row| row.get(0))
            .unwrap();
        sum.unsigned_abs()
    }

    async fn step(&mut self, random: &mut fastrand::Rng) {
        match random.u8(..12) {
            0..=2 => self.send(events(random.usize(1..40))).await,
            3 => {
                let mut noisy = events(random.usize(1..300));
                noisy
                    .iter_mut()
                    .for_each(|event| event.source = Some("noisy".to_owned()));
                self.send(noisy).await;
            }
            4 => {
                let again = self.sent.iter().filter(|_| random.bool()).take(50).cloned().collect();
                self.send(again).await;
            }
            5 => {
                for _ in 0..random.u8(..40) {
                    let failure = NewEvent::http_failure(500, "internal", "failed", EventContext::default());
                    self.capture.capture(failure);
                }
            }
            6 | 7 => *self.sink.mood.lock() = Mood::Well,
            8 => *self.sink.mood.lock() = Mood::Open,
            9 => {
                *self.sink.mood.lock() = Mood::Unknown;
                self.unknown = true;
            }
            10 => self.spool_folder_goes(),
            _ => self.restart(random.bool()).await,
        }
    }

    async fn send(&mut self, events: Vec<ErrorEvent>) {
        self.sent.extend(events.iter().take(20).cloned());
        let outcomes = self.log.report(Reporter::Declared, events.clone()).await;
        assert_eq!(outcomes.len(), events.len());
    }

    /// Somebody removes the folder; a new one is there at once or not.
    fn spool_folder_goes(&self) {
        // The spool may put a segment there at this very moment.
        while self.folder.path().exists() {
            let _ = std::fs::remove_dir_all(self.folder.path());
        }
        std::fs::create_dir(self.folder.path()).unwrap();
    }

    async fn restart(&mut self, in_order: bool) {
        if in_order {
            assert!(self.log.drain(Duration::from_secs(60)).await);
        }
        self.settled().await;
        let old = Arc::downgrade(&self.log.pipeline);
        let (log, capture) = {
            self.log.pipeline.stopping.send_replace(true);
            // The last handles of the old one, so that its tasks and its spool's thread end.
            let (none, captures) = channel(SystemClock::shared());
            let folder = tempfile::tempdir().unwrap();
            let spool = Spool::open(folder.path(), SPOOL_BYTES).unwrap();
            self.log = EventLog::with_sink(Box::new(self.sink.clone()), spool, captures);
            self.capture = none;
            until("the old one ended", || old.strong_count() == 0).await;
            begin(self.folder.path(), &self.sink)
        };
        (self.log, self.capture) = (log, capture);
        (self.before, self.unknown) = (self.occurrences(), *self.sink.mood.lock() == Mood::Unknown);
    }

    /// Waits until nothing is on its way, and compares the account with what is there.
    async fn settled(&self) {
        let ledger = || self.log.ledger();
        until("all events have their outcome", || ledger().in_flight == 0).await;
        until("the spool is what the account says", || {
            ledger().spooled == self.log.spool_status().events
        })
        .await;
        assert!(ledger().balanced(), "{:?}", ledger());
        // The replay may be between its commit and the account.
        until("what is stored is what the account says", || {
            let stored = self.before + ledger().stored;
            stored == self.occurrences() || self.unknown && stored < self.occurrences()
        })
        .await;
    }
}

fn begin(folder: &std::path::Path, sink: &TestSink) -> (EventLog, Capture) {
    let (mut log, capture) = start(folder, sink, SPOOL_BYTES);
    log.limit(PER_SOURCE, Arc::default());
    (log, capture)
}

/// What was counted on samples, came twice and was dropped (as `spooled`), so that it can be told that something was.
async fn run(seed: u64) -> LedgerSnapshot {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new();
    let mut seen = LedgerSnapshot::default();
    for step in 0..40 {
        let (log, watched) = (world.log.clone(), Arc::new(AtomicBool::new(true)));
        let watches = watched.clone();
        let watcher = tokio::spawn(async move {
            while watches.load(Ordering::Relaxed) {
                assert!(log.ledger().balanced(), "seed {seed}, step {step}: {:?}", log.ledger());
                tokio::task::yield_now().await;
            }
        });
        // A restart wants every handle.
        let is_over = random.clone().u8(..12) == 11;
        if is_over {
            watched.store(false, Ordering::Relaxed);
            watcher.await.unwrap();
            world.step(&mut random).await;
        } else {
            world.step(&mut random).await;
            watched.store(false, Ordering::Relaxed);
            watcher.await.unwrap();
        }
        world.settled().await;
        let now = world.log.ledger();
        seen.counted += now.counted;
        seen.duplicates += now.duplicates;
        seen.spooled += now.dropped.total();
    }
    seen
}

#[tokio::test]
async fn the_account_is_true_after_any_sequence_of_faults() {
    let mut seen = LedgerSnapshot::default();
    for seed in 0..12 {
        let one = run(seed).await;
        seen.counted += one.counted;
        seen.duplicates += one.duplicates;
        seen.spooled += one.spooled;
    }
    // Otherwise the sequences tried nothing.
    assert!(seen.counted > 0 && seen.duplicates > 0 && seen.spooled > 0, "{seen:?}");
}

#[tokio::test]
async fn a_slow_database_at_the_end_costs_no_captured_event() {
    let bench = bench();
    bench.set(Mood::Hangs);
    for _ in 0..3500 {
        bench.capture.capture(NewEvent::http_failure(
            503,
            "database_busy",
            "busy",
            EventContext::default(),
        ));
    }
    assert!(bench.log.drain(Duration::from_secs(60)).await);
    let ledger = bench.balanced();
    assert_eq!((ledger.in_flight, ledger.spooled), (0, 3500));
    let (next, _capture) = start(bench.folder.path(), &bench.sink, 64 << 20);
    assert_eq!(next.ledger().spooled, 3500);
    bench.set(Mood::Well);
    until("they are stored", || next.ledger().stored == 3500).await;
    assert_eq!(bench.rows(), 3500);
}

#[tokio::test]
async fn what_nobody_can_take_is_refused_and_counted() {
    let bench = bench_with(3000);
    bench.set(Mood::Open);
    let (mut spooled, mut refused) = (0, 0);
    for event in events(50) {
        match bench.log.ingest(vec![event]).await[0] {
            IngestOutcome::Spooled => spooled += 1,
            IngestOutcome::NotAccepted { retry_after } if !retry_after.is_zero() => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    let ledger = bench.balanced();
    assert!(spooled > 0 && refused > 0);
    assert_eq!(
        (ledger.spooled, ledger.dropped.of(DropReason::SpoolFull)),
        (spooled, refused)
    );
}
