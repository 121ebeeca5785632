//! The end, in order (floor 7): stop admission, end backoff sleeps and drain the writer, flush the spool, checkpoint,
//! close.
//!
//! What must stay true: every step is bounded; a second signal ends the process at once, which loses nothing that was
//! acknowledged, because an answer is given only after its commit is on disk.

use std::sync::Arc;
use std::time::Duration;

use rocket::tokio;
use rocket::tokio::signal::unix::{Signal, SignalKind, signal};

use super::logging::Outputs;
use crate::api::Draining;
use crate::db::Database;
use crate::events::EventLog;
use crate::http::Databases;
use crate::monitoring::Requests;

// Together with Rocket's grace and mercy these stay below the 10 s that supervisors commonly give.
const DRAIN: Duration = Duration::from_secs(5);
const FLUSH: Duration = Duration::from_millis(1500);
const CLOSE: Duration = Duration::from_millis(1200);
/// Between two looks at the requests under way; as many quiet looks in a row as [`QUIET`] mean that all are answered.
const LOOK: Duration = Duration::from_millis(50);
const QUIET: u32 = 4;

/// How long each output of the log may take for its last lines where the process ends at once.
const LAST_LINES: Duration = Duration::from_millis(250);

/// The exit code of a process that a signal ended.
const KILLED_BY_SIGNAL: i32 = 128;

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}

/// Ends the service at the first SIGINT or SIGTERM in order, at the second at once.
pub(super) fn watch_signals(end: rocket::Shutdown, draining: Draining, app: Database, log: Outputs) {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        tracing::error!("signals can't be watched; the service ends only when it is killed");
        return;
    };
    tokio::spawn(async move {
        next(&mut interrupt, &mut terminate).await;
        tracing::info!("ending: requests under way are answered, queued writes reach the disk");
        draining.begin();
        end.notify();
        // At once, so that writes that sleep between attempts are answered within the grace period.
        let drained = tokio::task::spawn_blocking(move || app.drain(DRAIN));
        let number = next(&mut interrupt, &mut terminate).await;
        drop(drained);
        tracing::warn!("second signal: ending at once");
        log.flush(LAST_LINES);
        std::process::exit(KILLED_BY_SIGNAL + number);
    });
}

/// Comes back once the end was asked for and every request under way has its answer.
pub(super) async fn answered(end: rocket::Shutdown, requests: &Requests) {
    end.await;
    let mut quiet = 0;
    while quiet < QUIET {
        tokio::time::sleep(LOOK).await;
        quiet = if requests.in_flight() == 0 { quiet + 1 } else { 0 };
    }
}

/// Brings what is still on its way to the disk and closes the files.
pub(super) async fn close(databases: &Arc<Databases>, log: &EventLog) {
    if !log.drain(FLUSH).await {
        let lost = log.ledger().in_flight;
        tracing::warn!(lost, "not every captured event could be flushed in time");
    }
    let databases = Arc::clone(databases);
    let closed = tokio::task::spawn_blocking(move || {
        databases.app.close(CLOSE);
        databases.events.close(CLOSE);
    });
    if closed.await.is_err() {
        tracing::error!("closing the databases panicked");
    }
    tracing::info!("ended");
}
