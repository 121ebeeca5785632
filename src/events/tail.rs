//! The live tail (floor 2): events as they are stored, to readers who can go away and come back.
//!
//! ```text
//! store ─▶ events.stored = 1, 2, 3 … ◀─ look ◀─ reader (a task each) ─▶ two looks at most ─▶ [`Tail`] ─▶ the client
//!   └───────── "something was stored" ────────────┘
//! ```
//! A position is a number in the order of storing, not a time: what the spool or a phone brings late is stored late, and
//! a reader that is ahead in time must get it all the same. Why resuming from a number neither skips nor repeats:
//! - One thread writes events.db, one transaction at a time, and gives the numbers within the transaction that stores the
//!   rows. So numbers become visible in their order, all of a transaction at once: who has seen 7 can't have missed a 6
//!   that is committed later.
//! - The last number is kept in the same transaction. A job that is undone, or a kill, takes rows and numbers back
//!   together, and nobody has seen them: SQLite shows readers only what was synced. A number that was seen is never given
//!   again, also when its event has been removed.
//! - A reader holds no events that are only in memory. It reads after its position in one snapshot, and what it reads moves
//!   the position; being told that something was stored only makes it look sooner. What fails is looked at again.
//! - What was removed before it was read can't be shown; the largest removed number tells that there is such a gap. A file
//!   that was replaced has another name, and one that is seen to be an older copy is given one ([`rename`]).
//!
//! What must stay true: readers and what is held for each are bounded, whatever a client does. Handlers call it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::log::EventLog;
use super::query::Filter;
use crate::config::TailSettings;
use crate::db::{Database, DbError, Effect, Operation};

mod look;
mod position;
mod reader;
#[cfg(test)]
mod tests;

pub use position::{After, Gap, Position};
use reader::Reader;

/// A message to a reader.
#[derive(Debug, Clone)]
pub struct Told {
    /// Everything up to there was told, this message included; `None` while it isn't known.
    pub position: Option<Position>,
    /// The message.
    pub what: What,
}

/// What a reader is told.
#[derive(Debug, Clone)]
pub enum What {
    /// An event, as JSON.
    Event(String),
    /// How the log is, when that has changed.
    State(State),
    /// Something may be missing before what follows.
    Gap(Gap),
    /// Nothing; the reader is still there.
    Sign,
}

/// How the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// What is acknowledged is stored and shown at once.
    Live,
    /// So many acknowledged events wait in the spool; they follow once they are stored.
    Waiting(u64),
    /// The event database can't be read, for this reason.
    Unreadable(String),
}

impl State {
    fn of_spool(events: u64) -> Self {
        if events == 0 { Self::Live } else { Self::Waiting(events) }
    }

    /// The word on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Waiting(_) => "waiting",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// What can be seen of the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TailCounts {
    /// Readers now.
    pub readers: usize,
    /// Most readers at once.
    pub limit: usize,
    /// Readers that were let go since the start because they took nothing for too long.
    pub dropped_slow: u64,
    /// Readers that were refused since the start because there were too many.
    pub refused: u64,
}

/// What readers share.
struct Shared {
    database: Database,
    log: EventLog,
    patience: Duration,
    limit: usize,
    seats: Arc<Semaphore>,
    /// Connections: a reader that was let go leaves its seat at once, its connection ends a little later.
    lines: Arc<Semaphore>,
    dropped_slow: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    fn count_slow(&self) {
        self.dropped_slow.fetch_add(1, Ordering::Relaxed);
    }
}

/// All readers of an event log; clones share them.
#[derive(Clone)]
pub struct Tails(Arc<Shared>);

/// There are as many readers as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// How many there may be.
    pub limit: usize,
}

/// What a client reads from; dropping it ends its reader.
pub struct Tail {
    from: mpsc::Receiver<Vec<Told>>,
    _line: OwnedSemaphorePermit,
}

impl Tail {
    /// The next messages; `None` when the reader was let go. Losing the race in a `select!` loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Told>> {
        self.from.recv().await
    }
}

impl Tails {
    /// For the log in this database.
    pub fn new(database: Database, log: EventLog, settings: &TailSettings) -> Self {
        let limit = settings.readers as usize;
        Self(Arc::new(Shared {
            database,
            log,
            patience: settings.patience,
            limit,
            seats: Arc::new(Semaphore::new(limit)),
            lines: Arc::new(Semaphore::new(limit * 2)),
            dropped_slow: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Begins to read. Needs a runtime. Where it begins with what is stored from now on and the database can't be read,
    /// that is from when it can. `let_go` is called, on the runtime, when nothing was taken for too long: whoever hands the
    /// messages on may be stuck with one of them.
    ///
    /// # Errors
    /// [`TooMany`] readers are there.
    pub fn open(
        &self,
        filter: Filter,
        after: After,
        let_go: impl FnOnce() + Send + Sync + 'static,
    ) -> Result<Tail, TooMany> {
        let shared = &self.0;
        let places = Arc::clone(&shared.seats)
            .try_acquire_owned()
            .and_then(|seat| Ok((seat, Arc::clone(&shared.lines).try_acquire_owned()?)));
        let Ok((seat, line)) = places else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooMany { limit: shared.limit });
        };
        let (to, from) = mpsc::channel(1);
        let reader = Reader {
            shared: Arc::clone(shared),
            filter: Arc::new(filter),
            after,
            to,
            stored: shared.log.pipeline.stored.subscribe(),
            heard_removed: 0,
            heard: None,
            let_go: Some(Box::new(let_go)),
            _seat: seat,
        };
        tokio::spawn(reader.run());
        Ok(Tail { from, _line: line })
    }

    /// The readers now.
    pub fn counts(&self) -> TailCounts {
        let shared = &self.0;
        TailCounts {
            readers: shared.limit - shared.seats.available_permits(),
            limit: shared.limit,
            dropped_slow: shared.dropped_slow.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
        }
    }
}

/// Gives the order of storing another name, for a file that lacks commits that were acknowledged: numbers that readers have
/// seen will be given again. Before anything is stored in it.
///
/// # Errors
/// Those of the database layer.
pub async fn rename(database: &Database) -> Result<(), DbError> {
    let operation = Operation::write("events.rename").idempotent().patient();
    database.write(operation, |c| look::rename(c).map(Effect::Commit)).await
}
