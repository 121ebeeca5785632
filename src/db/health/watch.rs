//! The watch (floor 1): probes regularly, and in between sees at once what happens to the file, its log and its disk.
//!
//! What must stay true: it ends with the database and not before; what is written into a file that is gone is lost, so the looks are
//! short steps apart; each step is bounded, also on a disk that hangs. The service keeps [`Database::watch`] running.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::durable::empty_log;
use crate::clock;
use crate::db::backoff::within_ten_percent;
use crate::db::breaker::Breaker;
use crate::db::database::Database;
use crate::db::error::DbError;
use crate::db::identity::{identity, moved};
use crate::db::wait;

/// Soonest next probe, so that a breaker whose time has come is not hammered.
const SOONEST: Duration = Duration::from_millis(50);
/// Between two looks at which files are there: what is written into a file that is gone is lost, so this is short.
const STEP: Duration = Duration::from_millis(250);
/// An isolated file is looked into again after at most this, however rarely a sound one is probed.
const WHILE_ISOLATED: Duration = Duration::from_secs(30);

/// Longest wait for the file of the breakers' states before a setting by hand is answered without it.
const KEEP_WITHIN: Duration = Duration::from_secs(2);
/// For the end of the reads that keep a deleted log from being saved; the next look tries again.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);

impl Database {
    /// Probes until the database is drained or closed: at the configured interval ±10 %, and as soon as an open breaker's time has
    /// come, so that recovery needs nobody.
    pub async fn watch(&self) {
        tokio::select! {
            biased;
            _ = futures_util::future::join(self.keep_probing(), self.check_what_is_left()) => {}
            () = self.inner.writer.shared.stop.raised() => {}
        }
    }

    async fn keep_probing(&self) {
        let mut was_there = true;
        let mut looking: Option<Pin<Box<dyn Future<Output = bool> + Send + '_>>> = None;
        loop {
            // A change is probed at once, a lasting state at the regular time: a probe is a call like any other. Looked at
            // before the probe, because what is isolated while that runs, perhaps by itself, hasn't been looked into yet.
            let was_isolated = self.is_isolated();
            self.probe().await;
            let mut interval = self.settings().health.interval;
            if was_isolated {
                interval = interval.min(WHILE_ISOLATED);
            }
            let regular = clock::now() + within_ten_percent(interval, fastrand::f64());
            loop {
                self.inner.readers.check_leaks();
                // Where the disk hangs, so does the look: it goes on, no other one begins, and probes keep their time.
                let look = looking.get_or_insert_with(|| Box::pin(self.look()));
                let looked = wait::at_most(self.settings().health.timeout, look).await;
                if looked.is_ok() {
                    looking = None;
                }
                let is_there = looked.unwrap_or(false);
                if is_there != was_there || self.is_isolated() != was_isolated {
                    was_there = is_there;
                    break;
                }
                let due = self.next_probe(regular);
                let now = clock::now();
                if now >= due {
                    break;
                }
                // In short steps, because a breaker may open while this sleeps, and a file may go.
                wait::sleep((due - now).min(STEP)).await;
            }
            wait::sleep(SOONEST).await;
        }
    }

    /// One look, which may hang with the disk: for room, after the breakers' file, whether the file is still the right
    /// one.
    async fn look(&self) -> bool {
        self.look_for_room().await;
        self.keep_breakers().await;
        self.check_identity().await
    }

    /// Keeps what a restart must not undo of the breakers, when it changed.
    async fn keep_breakers(&self) {
        if self.inner.kept.is_due(&self.breakers()) {
            self.write_breakers().await;
        }
    }

    async fn write_breakers(&self) {
        let database = self.clone();
        // A panic in there is the panic hook's to tell; the next look tries again.
        let _ = wait::blocking(move || database.inner.kept.keep(&database.breakers())).await;
    }

    /// Brings what was set by hand to the disk before that is acknowledged, within [`KEEP_WITHIN`]. What can't be kept is
    /// logged, holds all the same until the process ends, and is tried again by [`Database::watch`].
    pub async fn keep_breakers_now(&self) {
        if wait::at_most(KEEP_WITHIN, self.write_breakers()).await.is_err() {
            let seconds = KEEP_WITHIN.as_secs();
            tracing::warn!(
                database = self.name(),
                seconds,
                "the circuit breakers' states are not on disk yet"
            );
        }
    }

    fn next_probe(&self, regular: Instant) -> Instant {
        let wants_probe = |breaker: &&Arc<Breaker>| matches!(breaker.status().state, "OPEN" | "HALF_OPEN");
        let soonest = self
            .breakers()
            .into_iter()
            .filter(wants_probe)
            .map(|b| b.retry_at().unwrap_or_else(clock::now));
        soonest.min().map_or(regular, |at| at.min(regular))
    }

    /// Isolates a file that is gone or another one; whether it is the right one.
    pub(super) async fn check_identity(&self) -> bool {
        let (path, opened) = (self.path().to_owned(), self.inner.health.opened);
        let found = wait::blocking(move || identity(&path)).await;
        let Ok(found) = found else { return false };
        let could_look = found.is_ok();
        match moved(found, opened) {
            Some(cause) => self.isolate_from_outside(&cause),
            // With a log that is gone, a check would look at another state than the one in use: not the right one yet.
            None if could_look => return self.check_log().await,
            None => {}
        }
        false
    }

    /// What goes into a deleted write-ahead log is lost at the next start. What it holds is brought into the database
    /// file by the anchor, which has it open for as long as that takes, and every other connection is made anew; whether
    /// the log at the path is the one in use, then.
    async fn check_log(&self) -> bool {
        if self.inner.health.log.is_ours() {
            return true;
        }
        self.isolate_from_outside("the write-ahead log was deleted or replaced; what it held is being saved");
        let database = self.clone();
        match wait::blocking(move || database.rescue_log()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "the deleted write-ahead log could not be saved yet; it is tried again");
                false
            }
            Err(_) => false,
        }
    }

    /// The last look at the log, when nobody writes any more: what was in a deleted one when [`Database::watch`] ended, or
    /// couldn't be saved for a reader that has ended since, would be lost with this process.
    pub(in crate::db) fn save_log_at_last(&self) {
        // Into a file that isn't the right one nothing is saved: it is there, or it is gone with its file.
        let is_right = identity(self.path()).is_ok_and(|found| found == self.inner.health.opened);
        if !is_right || self.inner.health.log.is_ours() {
            return;
        }
        match self.rescue_log() {
            Ok(()) => tracing::warn!(
                database = self.name(),
                "the write-ahead log had been deleted; what it held was saved"
            ),
            Err(error) => tracing::error!(%error, "the deleted write-ahead log could not be saved before the end"),
        }
    }

    fn rescue_log(&self) -> Result<(), DbError> {
        const NAME: &str = "health.save";
        let until = clock::now() + self.settings().operation.timeout;
        // Held meanwhile, so that no batch that had begun commits into the old log once it was saved.
        let _writer = self.inner.writer.shared.pool.checkout(NAME, until)?;
        let log = &self.inner.health.log;
        let saved = log
            .with_anchor(|anchor| empty_log(anchor, SAVE_PATIENCE))
            .and_then(|()| {
                // From here on nobody uses a connection that reads or writes the lost log. Not before: until it is saved, it
                // is the only place where its commits are, and all who have it open agree on what it holds.
                self.inner.health.epoch.fetch_add(1, Ordering::AcqRel);
                log.anchor_anew()
            });
        saved.map_err(|error| DbError::from_sqlite(self.name(), NAME, &error))
    }
}
