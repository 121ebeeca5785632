//! The event log with few and with many events: batch ingest against a bare loop, lists, searches and statistics at 100
//! thousand and at a million, and how long an event waits while a hundred thousand others leave.
//!
//! `cargo bench --bench events` (`-- --quick` only checks that it runs; `-- --events 10000000` takes ten million; the name
//! of a part runs it alone). With `-- --data FOLDER` the filled logs are kept there, and those that it holds are read
//! without being filled again. The text index follows in the background.

#[path = "../common/mod.rs"]
mod common;

mod bare;
mod ingest;
mod log;
mod made;
mod pruning;
mod reading;

use std::path::{Path, PathBuf};

use mainstay::clock::{Clock, SystemClock, epoch_ms};
use rocket::tokio;

use common::{cores, folder};
use log::Log;

const PARTS: [&str; 3] = ["ingest", "pruning", "reading"];

/// What is measured.
struct Wanted {
    few: u64,
    many: u64,
    repeats: u32,
    /// Events that leave while others come.
    leaving: u64,
    data: Option<PathBuf>,
    part: Option<String>,
}

impl Wanted {
    fn from_arguments() -> Self {
        let mut wanted = Self {
            few: 100_000,
            many: 1_000_000,
            repeats: 1000,
            leaving: 100_000,
            data: None,
            part: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => (wanted.few, wanted.many, wanted.repeats, wanted.leaving) = (20_000, 40_000, 20, 4_000),
                "--bench" => {}
                "--events" => {
                    let count = arguments.next().and_then(|text| text.parse().ok());
                    wanted.many = count
                        .filter(|count| *count > wanted.few)
                        .expect("--events takes a number above 100000");
                }
                "--data" => wanted.data = Some(arguments.next().expect("--data takes a folder").into()),
                part if PARTS.contains(&part) => wanted.part = Some(argument),
                other => {
                    let parts = PARTS.join(", ");
                    eprintln!("unknown argument {other}; allowed: --quick, --events COUNT, --data FOLDER, {parts}");
                    std::process::exit(2);
                }
            }
        }
        wanted
    }

    fn wants(&self, part: &str) -> bool {
        self.part.as_deref().is_none_or(|only| only == part)
    }
}

/// Where a filled log notes the moment at which its events end, milliseconds since the epoch.
fn note(folder: &Path) -> PathBuf {
    folder.join("ends_ms")
}

/// The log of so many events below `data`, filled if it isn't there yet; and when its events end.
async fn filled(data: &Path, count: u64, figures: &mut Vec<ingest::Figures>) -> (PathBuf, i64) {
    let kept = data.join(count.to_string());
    if !kept.exists() {
        std::fs::create_dir_all(data).expect("a folder");
        // Under its name only once it is whole.
        let fresh = tempfile::tempdir_in(data).expect("a folder");
        let now_ms = epoch_ms(SystemClock.wall());
        figures.push(ingest::fill(fresh.path(), count, now_ms).await);
        std::fs::write(note(fresh.path()), now_ms.to_string()).expect("noted");
        std::fs::rename(fresh.keep(), &kept).expect("renamed");
    }
    let ends_ms = std::fs::read_to_string(note(&kept)).expect("a filled log");
    (kept, ends_ms.parse().expect("milliseconds"))
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    pages * 4 / 1024
}

fn ms(micros: u32) -> String {
    format!("{:.2}", f64::from(micros) / 1000.0)
}

#[tokio::main]
async fn main() {
    let wanted = Wanted::from_arguments();
    println!(
        "The event log with {} and {} events, on {} cores.\n",
        wanted.few,
        wanted.many,
        cores()
    );
    if wanted.wants("ingest") || wanted.wants("reading") {
        let own = folder();
        let data = wanted.data.as_deref().unwrap_or(own.path());
        let mut figures = Vec::new();
        let few = filled(data, wanted.few, &mut figures).await;
        let many = filled(data, wanted.many, &mut figures).await;
        if !figures.is_empty() {
            ingest::print(&mut figures);
        }
        if wanted.wants("reading") {
            let (one, other) = (Log::open(&few.0), Log::open(&many.0));
            one.settle().await;
            other.settle().await;
            reading::print((&one, few.1), (&other, many.1), wanted.repeats).await;
            one.close().await;
            other.close().await;
        }
    }
    if wanted.wants("pruning") {
        pruning::print(wanted.leaving).await;
    }
    println!("resident memory of this process at the end: {} MiB", resident_mib());
}
