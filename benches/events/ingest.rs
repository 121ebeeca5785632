//! A log filled by two senders of NDJSON while a third one reports single events; then the bare loop writes the same rows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::tokio;

use super::common::{Table, quantile, ratio};
use super::log::Log;
use super::made::Made;
use super::{bare, ms};

/// What filling a log took.
pub struct Figures {
    count: u64,
    per_second: f64,
    single: Vec<u32>,
    behind: Duration,
    bare: f64,
}

/// Fills an empty folder's log with so many events that end at `now_ms`.
pub async fn fill(folder: &Path, count: u64, now_ms: i64) -> Figures {
    let log = Log::open(folder);
    let mut made = Made::new(count, now_ms);
    let stop = Arc::new(AtomicBool::new(false));
    let trickling = tokio::spawn(log.clone().trickle(Arc::clone(&stop)));
    let spent = log.fill(&mut made, count).await;
    stop.store(true, Ordering::Relaxed);
    let single = trickling.await.expect("reported");
    let behind = log.catch_up().await;
    let path = log.database.path().to_owned();
    log.close().await;
    Figures {
        count,
        per_second: count as f64 / spent.as_secs_f64(),
        single,
        behind,
        bare: bare::rows_per_second(&path),
    }
}

pub fn print(all: &mut [Figures]) {
    let mut table = Table::new(&[
        "NDJSON batches, two senders",
        "bare rows/s",
        "events/s",
        "ratio",
        "searchable after s",
        "a single event meanwhile, ms: p50",
        "p99",
        "longest",
    ]);
    for of in all {
        let single = &mut of.single;
        let (half, most) = (quantile(single, 0.5), quantile(single, 0.99));
        table.row(vec![
            format!("{} events", of.count),
            format!("{:.0}", of.bare),
            format!("{:.0}", of.per_second),
            format!("{:.2}", ratio(of.per_second, of.bare)),
            format!("{:.1}", of.behind.as_secs_f64()),
            ms(half),
            ms(most),
            ms(single.last().copied().unwrap_or(0)),
        ]);
    }
    table.print();
}
