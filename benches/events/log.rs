//! An event log in a folder, as the program opens it, and how the benchmark fills it: by the real path, from NDJSON to
//! the commit.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay::clock::{Clock, SystemClock};
use mainstay::config::DatabaseSettings;
use mainstay::db::{Database, Options, Unobserved};
use mainstay::events::{self, EventLog, IngestOutcome, Spool, parse};
use rocket::tokio;

use super::made::Made;

/// Lines of one report.
const LINES: usize = 5000;
/// Reports that are made before they are sent.
const REPORTS: usize = 20;

#[derive(Clone)]
pub struct Log {
    pub database: Database,
    pub log: EventLog,
    spooled: Arc<AtomicU64>,
}

impl Log {
    pub fn open(folder: &Path) -> Self {
        let options = Options {
            name: "events",
            path: folder.join("events.db"),
            application_id: 1,
            migrations: events::MIGRATIONS,
            settings: DatabaseSettings {
                gives_pages_back: true,
                ..DatabaseSettings::default()
            },
        };
        let clock = SystemClock::shared();
        let database = Database::open(options, clock.clone(), Arc::new(Unobserved)).expect("opens");
        let (_capture, captures) = events::channel(clock);
        let spool = Spool::open(&folder.join("spool"), 64 << 20).expect("opens");
        let operation = DatabaseSettings::default().operation;
        let log = EventLog::start(database.clone(), spool, captures, &operation);
        Self {
            database,
            log,
            spooled: Arc::default(),
        }
    }

    /// Ends it, and tells what makes its figures others than those of a healthy log.
    pub async fn close(self) {
        let spooled = self.spooled.load(Ordering::Relaxed);
        if spooled > 0 {
            println!("{spooled} events went by the spool, because the disk was too slow");
        }
        self.log.drain(Duration::from_secs(5)).await;
        self.database.close(Duration::from_secs(5));
    }

    /// Reports lines as the front door does after it has the body.
    async fn report(&self, lines: &str) {
        let now = SystemClock.wall();
        let items = parse::ndjson_items(lines.as_bytes()).expect("lines");
        let sound = items
            .into_iter()
            .map(|item| parse::event(item.expect("a line"), now).expect("sound"))
            .collect();
        let outcomes = self.log.ingest(sound).await;
        for outcome in outcomes {
            match outcome {
                IngestOutcome::Stored { .. } => {}
                // Durable all the same, and stored later: a disk may have its bad minute in a fill of an hour.
                IngestOutcome::Spooled => _ = self.spooled.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reports `count` events by two senders at once, each one report after the other; how long they took.
    pub async fn fill(&self, made: &mut Made, count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = usize::try_from(count).expect("a number of events");
        while left > 0 {
            // Made apart from the clock, and not all at once in memory.
            let mut reports = VecDeque::new();
            while left > 0 && reports.len() < REPORTS {
                let lines = LINES.min(left.div_ceil(2));
                reports.push_back(made.lines(lines));
                left -= lines;
            }
            let reports = Arc::new(Mutex::new(reports));
            let began = Instant::now();
            let other = tokio::spawn(self.clone().send(Arc::clone(&reports)));
            self.clone().send(reports).await;
            other.await.expect("reported");
            spent += began.elapsed();
        }
        spent
    }

    async fn send(self, reports: Arc<Mutex<VecDeque<String>>>) {
        let next = || reports.lock().expect("no sender panicked").pop_front();
        while let Some(lines) = next() {
            self.report(&lines).await;
        }
    }

    /// Until everything is stored and can be searched.
    pub async fn catch_up(&self) -> Duration {
        let began = Instant::now();
        while self.log.spool_status().events > 0 || self.log.catch_up().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    /// Until the text index has merged what it wants to merge: nothing is written any longer.
    pub async fn settle(&self) {
        let written = || self.database.status().writer.jobs;
        let (mut before, mut calm) = (written(), 0);
        while calm < 10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = written();
            calm = if now == before { calm + 1 } else { 0 };
            before = now;
        }
    }

    /// One event at a time, as long as the flood goes on; how long each took, in microseconds.
    pub async fn trickle(self, stop: Arc<AtomicBool>) -> Vec<u32> {
        let mut micros = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            self.report("{\"message\":\"one among many\"}\n").await;
            micros.push(began.elapsed().as_micros() as u32);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        micros
    }
}
