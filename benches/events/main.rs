//! The event log with few and with many events: lists, searches and statistics at 100 thousand and at a million, and
//! batch ingest against a bare loop; and how long an event waits while a hundred thousand others leave.
//!
//! `cargo bench --bench events` (`-- --quick` only checks that it runs; `-- --events 10000000` takes ten million). Events
//! go in by the real path, from NDJSON to the commit, while the text index follows in the background.

#[path = "../common/mod.rs"]
mod common;

mod bare;
mod made;
mod pruning;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay::clock::{Clock, SystemClock, epoch_ms};
use mainstay::config::DatabaseSettings;
use mainstay::db::{Database, Operation, Options, Unobserved};
use mainstay::events::query::{self, Filter, List, Position, search};
use mainstay::events::{self, EventLog, IngestOutcome, Spool, parse};
use rocket::tokio;

use common::{Table, cores, folder, quantile, ratio};
use made::{Made, SPAN_MS};

/// Lines of one report.
const LINES: usize = 5000;

/// How many events.
struct Sizes {
    few: u64,
    many: u64,
    repeats: u32,
    /// Events that leave while others come.
    leaving: u64,
}

impl Sizes {
    fn from_arguments() -> Self {
        let mut sizes = Self {
            few: 100_000,
            many: 1_000_000,
            repeats: 400,
            leaving: 100_000,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    sizes = Self {
                        few: 5_000,
                        many: 10_000,
                        repeats: 20,
                        leaving: 4_000,
                    }
                }
                "--bench" => {}
                "--events" => {
                    let count = arguments.next().and_then(|text| text.parse().ok());
                    sizes.many = count
                        .filter(|count| *count > sizes.few)
                        .expect("--events takes a number above 100000");
                }
                other => {
                    eprintln!("unknown argument {other}; allowed: --quick, --events COUNT");
                    std::process::exit(2);
                }
            }
        }
        sizes
    }
}

#[derive(Clone)]
struct Log {
    database: Database,
    log: EventLog,
}

impl Log {
    fn open(folder: &std::path::Path) -> Self {
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
        Self { database, log }
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
        assert!(
            outcomes.iter().all(|one| matches!(one, IngestOutcome::Stored { .. })),
            "all are stored"
        );
    }

    /// Fills up to `to` events, by two senders at once; events a second.
    async fn fill(&self, made: &mut Made, from: u64, to: u64) -> f64 {
        let mut spent = Duration::ZERO;
        let mut done = from;
        while done < to {
            let count = LINES.min((to - done) as usize / 2);
            let (one, other) = (made.lines(count), made.lines(count));
            let began = Instant::now();
            let other = tokio::spawn({
                let log = self.clone();
                async move { log.report(&other).await }
            });
            self.report(&one).await;
            other.await.expect("reported");
            spent += began.elapsed();
            done += 2 * count as u64;
        }
        (to - from) as f64 / spent.as_secs_f64()
    }

    /// Until everything can be searched.
    async fn catch_up(&self) -> Duration {
        let began = Instant::now();
        while self.log.catch_up().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }
}

/// What is asked, made anew for each repetition.
type Ask = fn(&mut fastrand::Rng, i64) -> List;

fn ask(q: &str) -> List {
    let mut filter = Filter::default();
    if !q.is_empty() {
        search::compile(q, &mut filter).expect("sound");
    }
    List {
        filter,
        after: None,
        limit: 50,
        count: false,
        histogram: false,
        // Nothing is muted there, so that it has no end.
        now_ms: 0,
    }
}

fn deep(random: &mut fastrand::Rng, now_ms: i64, q: &str) -> List {
    let ms = now_ms - random.i64(0..SPAN_MS);
    List {
        after: Some(Position::at_ms(ms)),
        ..ask(q)
    }
}

const ASKED: [(&str, Ask); 14] = [
    ("list, first page", |_, _| ask("")),
    ("list, deep cursor", |random, now| deep(random, now, "")),
    ("type and severity, deep cursor", |random, now| {
        deep(random, now, "type:database,api severity:critical")
    }),
    ("one group", |random, _| ask(&format!("group:E-{}", random.u32(1..400)))),
    ("status, deep cursor", |random, now| deep(random, now, "is:unresolved")),
    ("common word", |_, _| ask("upstream")),
    ("common word, deep cursor", |random, now| deep(random, now, "upstream")),
    ("rare word", |_, _| ask("needle")),
    ("phrase", |_, _| ask("\"connection refused\"")),
    ("user", |random, _| ask(&format!("userId:{}", random.u32(..1000)))),
    ("word and path and type", |_, _| {
        ask("refused path:/api/checkout/0 type:database")
    }),
    ("word, not another, tag", |random, _| {
        ask(&format!("upstream -answered tag.host:web-{}", random.u8(..20)))
    }),
    ("beginning of a word", |_, _| ask("certif*")),
    ("histogram of 30 days", |_, now| List {
        histogram: true,
        now_ms: now,
        ..ask("")
    }),
];

/// The 50th and 99th of a hundred in microseconds for each question, in order.
async fn measure(log: &Log, repeats: u32, now_ms: i64) -> Vec<(u32, u32)> {
    let mut figures = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    let both = |mut micros: Vec<u32>| (quantile(&mut micros, 0.5), quantile(&mut micros, 0.99));
    for (name, ask) in ASKED {
        let mut micros = Vec::new();
        for _ in 0..repeats {
            let list = ask(&mut random, now_ms);
            let began = Instant::now();
            let page = query::list(&log.database, list).await.expect(name);
            micros.push(began.elapsed().as_micros() as u32);
            std::hint::black_box(page);
        }
        figures.push(both(micros));
    }
    let mut micros = Vec::new();
    for _ in 0..repeats {
        let began = Instant::now();
        let read = move |c: &mainstay::db::rusqlite::Connection| events::summary(c, now_ms);
        log.database.read(Operation::scan("summary"), read).await.expect("read");
        micros.push(began.elapsed().as_micros() as u32);
    }
    figures.push(both(micros));
    figures
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    pages * 4 / 1024
}

/// One event at a time, as long as the flood goes on; how long each took, in microseconds.
async fn trickle(log: Log, stop: Arc<AtomicBool>) -> Vec<u32> {
    let mut micros = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        log.report("{\"message\":\"one among many\"}\n").await;
        micros.push(began.elapsed().as_micros() as u32);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    micros
}

/// A log of so many events, what its making cost, and how its reads are.
struct Figures {
    per_second: f64,
    single: Vec<u32>,
    behind: Duration,
    bare: f64,
    reads: Vec<(u32, u32)>,
}

async fn figures(count: u64, repeats: u32, bare_up_to: u64) -> Figures {
    let folder = folder();
    let log = Log::open(folder.path());
    let now_ms = epoch_ms(SystemClock.wall());
    let mut made = Made::new(count, now_ms);
    let stop = Arc::new(AtomicBool::new(false));
    let trickling = tokio::spawn(trickle(log.clone(), Arc::clone(&stop)));
    let per_second = log.fill(&mut made, 0, count).await;
    stop.store(true, Ordering::Relaxed);
    let single = trickling.await.expect("reported");
    let behind = log.catch_up().await;
    let bare = bare::rows_per_second(log.database.path(), bare_up_to);
    let reads = measure(&log, repeats, now_ms).await;
    log.log.drain(Duration::from_secs(5)).await;
    log.database.close(Duration::from_secs(5));
    Figures {
        per_second,
        single,
        behind,
        bare,
        reads,
    }
}

fn ms(micros: u32) -> String {
    format!("{:.2}", f64::from(micros) / 1000.0)
}

#[tokio::main]
async fn main() {
    let sizes = Sizes::from_arguments();
    println!(
        "The event log with {} and {} events, on {} cores.\n",
        sizes.few,
        sizes.many,
        cores()
    );
    let few = figures(sizes.few, sizes.repeats, sizes.few).await;
    let mut many = figures(sizes.many, sizes.repeats, sizes.few).await;

    let mut table = Table::new(&[
        "NDJSON batches, two senders",
        "bare rows/s",
        "events/s",
        "ratio",
        "searchable after s",
    ]);
    for (count, of) in [(sizes.few, &few), (sizes.many, &many)] {
        let per_second = format!("{:.0}", of.per_second);
        let behind = format!("{:.1}", of.behind.as_secs_f64());
        let ratio = format!("{:.2}", ratio(of.per_second, of.bare));
        table.row(vec![
            format!("{count} events"),
            format!("{:.0}", of.bare),
            per_second,
            ratio,
            behind,
        ]);
    }
    table.print();
    let single = &mut many.single;
    let (half, most) = (quantile(single, 0.5), quantile(single, 0.99));
    let longest = single.last().copied().unwrap_or(0);
    println!(
        "a single event meanwhile, ms: p50 {}, p99 {}, longest {}\n",
        ms(half),
        ms(most),
        ms(longest)
    );

    pruning::print(sizes.leaving).await;

    let mut table = Table::new(&[
        "reading, ms",
        "p50 few",
        "p99 few",
        "p50 many",
        "p99 many",
        "p50 ratio",
        "p99 ratio",
    ]);
    let names = ASKED
        .iter()
        .map(|(name, _)| *name)
        .chain(std::iter::once("statistics, top groups"));
    for ((name, few), many) in names.zip(&few.reads).zip(&many.reads) {
        let worse = |few: u32, many: u32| format!("{:.2}", ratio(f64::from(many), f64::from(few.max(1))));
        let times = [
            ms(few.0),
            ms(few.1),
            ms(many.0),
            ms(many.1),
            worse(few.0, many.0),
            worse(few.1, many.1),
        ];
        table.row(std::iter::once(name.to_owned()).chain(times).collect());
    }
    table.print();
    println!("resident memory of this process at the end: {} MiB", resident_mib());
}
