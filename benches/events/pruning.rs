//! How long ingest waits while the log is pruned: half of its events leave by their worth, and one event after the other
//! comes in meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay::clock::Clock;
use mainstay::clock::{SystemClock, epoch_ms};
use mainstay::events::retention::{Bounds, Reason, Retention};
use rocket::tokio;

use super::common::{folder, quantile};
use super::log::Log;
use super::made::Made;
use super::ms;

/// Goal of the longest wait, in milliseconds.
const GOAL_MS: u32 = 50;

/// Fills a log with twice as many events as shall leave, and prints what their leaving took and cost others.
pub async fn print(leaving: u64) {
    let folder = folder();
    let log = Log::open(folder.path());
    let mut made = Made::new(2 * leaving, epoch_ms(SystemClock.wall()));
    log.fill(&mut made, 2 * leaving).await;
    log.catch_up().await;
    let bounds = Bounds {
        max_count: Some(leaving + leaving / 20),
        ..Bounds::default()
    };
    let (capture, _captures) = mainstay::events::channel(SystemClock::shared());
    let retention = Retention::new(
        log.database.clone(),
        log.log.clone(),
        bounds,
        capture,
        SystemClock::shared(),
    );
    let (before, stop) = (log.database.status().size_bytes, Arc::new(AtomicBool::new(false)));
    let trickling = tokio::spawn(log.clone().trickle(Arc::clone(&stop)));
    let running = tokio::spawn({
        let retention = retention.clone();
        async move { retention.run().await }
    });
    let began = Instant::now();
    let run = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(run) = retention.status().last_run {
            break run;
        }
    };
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut waits = trickling.await.expect("reported");
    running.abort();
    let (half, most) = (quantile(&mut waits, 0.5), quantile(&mut waits, 0.99));
    let longest = waits.last().copied().unwrap_or(0);
    let removed = run.removed[Reason::Count as usize];
    println!(
        "pruning {removed} of {} events: {:.1} s, {:.0} events/s; a single event meanwhile, ms: p50 {}, p99 {}, longest {} (goal {GOAL_MS});\n\
         longest step {:.1} ms; events.db before {} MiB, given back {} MiB\n",
        2 * leaving,
        took.as_secs_f64(),
        removed as f64 / took.as_secs_f64(),
        ms(half),
        ms(most),
        ms(longest),
        run.longest_step.as_secs_f64() * 1000.0,
        before >> 20,
        run.given_back_bytes >> 20,
    );
    log.close().await;
}
