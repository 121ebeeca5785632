//! What events.db could not take (floor 2): a folder of append-only segments, written and synced by one thread.
//!
//! What must stay true: an append is answered after its bytes are on the disk (waiting callers share one fdatasync); a
//! segment is let go only when its reader says that everything in it is in events.db, and deleted once that has left
//! events.db's write-ahead log; no async worker touches a file.
//! Called by the pipeline (append) and by replay (read, remove).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::model::ErrorEvent;
use crate::clock::from_epoch_ms;
use crate::db::LogGeneration;

mod active;
mod reader;
mod replayed;
mod segment;
mod shelf;
mod spare;
mod tally;
mod thread;
pub(super) use reader::{Chunk, Mark};

/// Most commands that wait for the thread; further callers wait their turn.
const QUEUE: usize = 1024;

/// Why the spool could not take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolError {
    /// Its limit is reached.
    Full,
    /// The disk is full.
    DiskFull,
    /// It could not write or sync.
    Failed,
}

/// The spool, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpoolStatus {
    /// Events that wait.
    pub events: u64,
    /// Bytes on the disk, without what is kept aside.
    pub bytes: u64,
    /// The most bytes it may hold.
    pub max_bytes: u64,
    /// Bytes held back for a full disk; 0 while there is no room for that, or they are in use.
    pub spare_bytes: u64,
    /// Bytes of replayed segments that stay until events.db's write-ahead log was begun anew; they give way to events.
    pub replayed_bytes: u64,
    /// Files.
    pub segments: u64,
    /// When the oldest waiting event came in.
    pub oldest: Option<Timestamp>,
    /// Damaged records found since the start.
    pub corrupt: u64,
    /// Segments kept aside as `.damaged` since the start.
    pub kept_aside: u64,
    /// Accepted events that the start found damaged or missing.
    pub lost_before_start: u64,
    /// Why the newest append or removal failed; `None` again once one went well. For people; holds no path.
    pub last_error: Option<String>,
}

/// The spool; clones share its thread.
#[derive(Clone)]
pub struct Spool {
    sender: mpsc::Sender<thread::Command>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    events: AtomicU64,
    status: Mutex<SpoolStatus>,
}

impl Shared {
    fn publish(&self, status: SpoolStatus) {
        self.events.store(status.events, Ordering::Release);
        *self.status.lock() = status;
    }
}

/// Events as the records that go on disk.
pub(super) struct Records {
    bytes: Vec<u8>,
    events: u64,
    oldest_ms: i64,
}

impl Records {
    pub(super) fn of<'a>(events: impl IntoIterator<Item = &'a ErrorEvent>) -> Self {
        let mut records = Self {
            bytes: Vec::new(),
            events: 0,
            oldest_ms: i64::MAX,
        };
        for event in events {
            // Strings, numbers and raw JSON that was valid when it came in always serialise.
            let payload = serde_json::to_vec(event).unwrap_or_default();
            segment::push_record(&mut records.bytes, &payload);
            records.events += 1;
            records.oldest_ms = records.oldest_ms.min(event.received_ms);
        }
        records
    }
}

impl Spool {
    /// Opens the folder, making it when missing; counts what waits in it. Blocking.
    ///
    /// # Errors
    /// When the folder can't be made, read or tidied.
    pub fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        Self::start(shelf::Shelf::open(folder, max_bytes, false)?)
    }

    /// The same when commits of events.db are missing: what was replayed of late waits again. Blocking.
    ///
    /// # Errors
    /// As for [`Spool::open`].
    pub fn open_after_gap(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        Self::start(shelf::Shelf::open(folder, max_bytes, true)?)
    }

    fn start(shelf: shelf::Shelf) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.publish(shelf.status());
        let (sender, receiver) = mpsc::channel(QUEUE);
        let publisher = shared.clone();
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || thread::run(shelf, receiver, &publisher))?;
        Ok(Self { sender, shared })
    }

    /// The spool now.
    pub fn status(&self) -> SpoolStatus {
        self.shared.status.lock().clone()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.shared.events.load(Ordering::Acquire) == 0
    }

    /// Writes all of the events or none; answers after they are on the disk.
    pub(super) async fn append(&self, records: Records) -> Result<(), SpoolError> {
        self.ask(|answer| thread::Command::Append { records, answer })
            .await
            .unwrap_or(Err(SpoolError::Failed))
    }

    /// Reads up to `limit` events of the oldest segment, from `from` on; `None` when nothing waits.
    pub(super) async fn read(&self, from: Option<Mark>, limit: usize) -> Option<Chunk> {
        self.ask(|answer| thread::Command::Read { from, limit, answer })
            .await
            .flatten()
    }

    /// Lets go of a segment whose events are all in events.db; its file stays until the log that holds them was begun anew.
    pub(super) async fn retire(&self, segment: u64, in_log: Option<LogGeneration>) {
        self.ask(|answer| thread::Command::Retire {
            segment,
            in_log,
            answer,
        })
        .await;
    }

    /// Deletes the files of segments whose events have left events.db's log.
    pub(super) async fn let_go(&self, now: LogGeneration) {
        self.ask(|answer| thread::Command::LetGo { now, answer }).await;
    }

    /// Whether replayed segments are still kept.
    pub(super) fn keeps_replayed(&self) -> bool {
        self.shared.status.lock().replayed_bytes > 0
    }

    /// Deletes a segment whose events are all in events.db, or keeps it aside for people.
    pub(super) async fn remove(&self, segment: u64, keep_aside: bool) {
        self.ask(|answer| thread::Command::Remove {
            segment,
            keep_aside,
            answer,
        })
        .await;
    }

    /// Returns when everything that was appended before is on the disk.
    pub(super) async fn barrier(&self) {
        self.ask(|answer| thread::Command::Barrier { answer }).await;
    }

    /// `None` when the thread is gone, which only a panic of it explains.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> thread::Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(command(answer)).await.ok()?;
        answered.await.ok()
    }
}

fn oldest_of(ms: Option<i64>) -> Option<Timestamp> {
    ms.map(from_epoch_ms)
}

#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod tests;
