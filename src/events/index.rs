//! The text index (floor 2): a task that brings new events into it, behind the back of whoever stores them.
//!
//! What must stay true: an event is stored without waiting for the index, and is indexed soon, in write jobs short enough
//! that nobody's write waits long for them; each event once, also across a crash; while more come than are indexed, storing
//! them goes first, but the index never stands still. What isn't indexed yet is told, and a search that can have it within a
//! moment waits for it. The event log starts it; the store fills its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock;
use crate::db::{Database, DbError, Effect, Operation};

pub(super) mod beginnings;
pub(super) mod rows;
pub(super) mod tokens;
pub mod words;

/// New events are gathered for so long, so that few commits serve many of them; a search doesn't wait for that.
const GATHER: Duration = Duration::from_millis(200);
/// From so many on they are not gathered any longer.
const ENOUGH: u64 = ROUND as u64;
/// Most events that one read prepares for the index: about as many as one write job's share of time takes.
const ROUND: usize = 1024;
/// While more events come than are indexed, a round is followed by so many times its own length without one, and by the
/// second at most.
const REST: (u32, Duration) = (4, Duration::from_millis(500));
/// Pages that one step of a merge writes, about 5 ms of work.
const MERGE_PAGES: u32 = 48;
/// After a failure, and between looks at an open breaker.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a search waits for events that were stored before it.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Of more than these a search doesn't wait: they take longer than its patience.
const CATCHABLE: u64 = 2 * ROUND as u64;

/// What is indexed and what is not, shared with those who store and those who search.
#[derive(Debug)]
pub struct Backlog {
    /// Events for the index since the start, and those that were waiting then.
    added: AtomicU64,
    /// Those that are done.
    done: AtomicU64,
    /// How many of the added are indexed for certain: all that were stored before a moment. `None` until that can be said
    /// of what an earlier process left.
    covered: watch::Sender<Option<u64>>,
    /// There is something to do.
    filled: Notify,
    /// Somebody waits for it.
    hurry: Notify,
}

impl Backlog {
    /// Nothing waits, as far as is known.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            added: AtomicU64::new(0),
            done: AtomicU64::new(0),
            covered: watch::Sender::new(None),
            filled: Notify::new(),
            hurry: Notify::new(),
        })
    }

    /// So many events were stored; called after their commit and before anybody is told of it.
    pub fn add(&self, count: u64) {
        self.added.fetch_add(count, Ordering::SeqCst);
        self.filled.notify_one();
    }

    /// Stored events that can't be found through the index yet.
    pub fn pending(&self) -> u64 {
        let done = self.done.load(Ordering::SeqCst);
        self.added.load(Ordering::SeqCst).saturating_sub(done)
    }

    /// Waits a moment for what was stored before; how many of them can't be found yet.
    pub async fn catch_up(&self) -> u64 {
        let stored = self.added.load(Ordering::SeqCst);
        let mut covered = self.covered.subscribe();
        if *covered.borrow_and_update() >= Some(stored) {
            return 0;
        }
        if self.pending() <= CATCHABLE {
            self.hurry.notify_one();
            let all = covered.wait_for(|covered| *covered >= Some(stored));
            if tokio::time::timeout(PATIENCE, all).await.is_ok_and(|all| all.is_ok()) {
                return 0;
            }
        }
        self.pending().max(1)
    }

    fn finish(&self, count: u64) {
        let added = self.added.load(Ordering::SeqCst);
        // What was committed unknown to us is done without having been added.
        let done = |done: u64| Some((done + count).min(added.max(done)));
        let _ = self.done.fetch_update(Ordering::SeqCst, Ordering::SeqCst, done);
    }

    /// All that were added up to this count are indexed.
    fn cover(&self, added: u64) {
        self.done.fetch_max(added, Ordering::SeqCst);
        self.covered
            .send_if_modified(|covered| std::mem::replace(covered, Some(added).max(*covered)) < Some(added));
    }
}

/// Runs until `stopping` becomes true.
pub(super) async fn run(database: &Database, backlog: &Backlog, mut stopping: watch::Receiver<bool>) {
    let indexing = Indexing { database, backlog };
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = indexing.keep_up() => {}
    }
}

/// The task's own view.
struct Indexing<'a> {
    database: &'a Database,
    backlog: &'a Backlog,
}

impl Indexing<'_> {
    async fn keep_up(&self) {
        let mut is_counted = false;
        // An earlier process may have been ended in the midst of a merge.
        let mut may_merge = true;
        loop {
            let round = async {
                if !is_counted {
                    let waiting = self
                        .database
                        .read(Operation::scan("events.to_index"), rows::waiting)
                        .await?;
                    self.backlog.add(waiting);
                    is_counted = true;
                }
                self.drain(may_merge).await
            };
            match round.await {
                Ok(()) => {
                    may_merge = false;
                    self.gather().await;
                }
                Err(_) => self.recover().await,
            }
        }
    }

    /// Until there is something to do, and a little longer, so that more of it comes together.
    async fn gather(&self) {
        self.backlog.filled.notified().await;
        if self.backlog.pending() < ENOUGH {
            tokio::select! {
                () = self.backlog.hurry.notified() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }

    /// After a failure, which the database layer has told; while its breaker is open nothing is tried.
    async fn recover(&self) {
        tokio::time::sleep(PAUSE).await;
        while self.database.admits_write().is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Indexes what waits, and merges what that leaves to merge, or what was left before where there may be some.
    async fn drain(&self, mut may_merge: bool) -> Result<(), DbError> {
        loop {
            let (began, before) = (clock::now(), self.backlog.added.load(Ordering::SeqCst));
            let (count, is_all) = self.round().await?;
            if count > 0 || may_merge {
                may_merge = self.merge().await?;
            }
            if is_all && !may_merge {
                return Ok(());
            }
            let came = self.backlog.added.load(Ordering::SeqCst) - before;
            if !is_all && came > count as u64 {
                self.rest(clock::since(began)).await;
            }
        }
    }

    /// After a round that took so long; somebody who waits for the index ends it.
    async fn rest(&self, took: Duration) {
        tokio::select! {
            () = self.backlog.hurry.notified() => {}
            () = tokio::time::sleep((took * REST.0).min(REST.1)) => {}
        }
    }

    /// Indexes some of what waits: how many, and whether that was all.
    async fn round(&self) -> Result<(usize, bool), DbError> {
        let added = self.backlog.added.load(Ordering::SeqCst);
        let read = Operation::scan("events.to_index");
        let found = self
            .database
            .read(read, |connection| rows::next(connection, ROUND))
            .await?;
        let is_all = found.len() < ROUND;
        let found: Arc<[_]> = found.into();
        let mut from = 0;
        while from < found.len() {
            let batch = Arc::clone(&found);
            let job = move |connection: &_| rows::index(connection, &batch[from..]).map(Effect::Commit);
            let done = self
                .database
                .write(Operation::write("events.index").in_background().idempotent(), job)
                .await?;
            self.backlog.finish(done as u64);
            from += done;
        }
        if is_all {
            self.backlog.cover(added);
        }
        Ok((found.len(), is_all))
    }

    /// One step; whether there was something to merge.
    async fn merge(&self) -> Result<bool, DbError> {
        let job = |connection: &_| {
            let merged = rows::merge(connection, MERGE_PAGES)?;
            Ok(if merged {
                Effect::Commit(true)
            } else {
                Effect::Rollback(false)
            })
        };
        self.database
            .write(Operation::write("events.merge").in_background().idempotent(), job)
            .await
    }
}

#[cfg(test)]
mod tests;
