//! A running operation as it is named and shown (floor 1).
//!
//! What must stay true: a name is written and read the same way.

use std::fmt;
use std::panic::Location;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::pending::NO_SLOT;
use crate::db::operation::Origin;

/// Who asked for an operation.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where in the program.
    pub site: &'static Location<'static>,
    /// For which request.
    pub origin: Option<Arc<Origin>>,
}

impl Caller {
    pub(super) fn call_site(&self) -> String {
        format!("{}:{}", self.site.file(), self.site.line())
    }

    pub(super) fn request_id(&self) -> Option<String> {
        self.origin.as_ref().map(|origin| origin.request_id.clone())
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// In the writer's queue, or between two attempts.
    Queued,
    /// In the batch that is tried next or now; none of its statements has run: mostly, the file's write lock is waited for.
    WaitingForLock,
    /// A read, or a write from its first statement to the end of its commit.
    Running,
}

/// What came of the wish to stop an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It is told, and ends with [`crate::db::ErrorKind::Cancelled`] unless it ends by itself before.
    Asked,
    /// The statements of this write have run; its commit is carried to its end.
    TooLate,
    /// It is over, or never was.
    Over,
}

/// Names one run of one operation; written `12-7`, place and generation, and `w-7` for a write that has its own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId {
    pub(super) slot: u32,
    pub(super) generation: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            NO_SLOT => write!(f, "w-{}", self.generation),
            slot => write!(f, "{slot}-{}", self.generation),
        }
    }
}

impl FromStr for OperationId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (slot, generation) = text.split_once('-').ok_or(())?;
        let slot = match slot {
            "w" => NO_SLOT,
            number => number.parse().map_err(drop)?,
        };
        let generation = generation.parse().map_err(drop)?;
        Ok(Self { slot, generation })
    }
}

/// A running operation, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveOperation {
    /// To name it when it is to be stopped.
    pub id: OperationId,
    /// The operation's name.
    pub operation: &'static str,
    /// Whether it writes.
    pub writes: bool,
    /// How far it is.
    pub phase: Phase,
    /// Where in the program it was asked for: `file:line`.
    pub call_site: String,
    /// How long ago it was admitted.
    pub age: Duration,
    /// How long it has held a connection; `None` while it waits for one.
    pub held: Option<Duration>,
    /// Whether all its statements see one snapshot, which keeps the write-ahead log from being reset.
    pub snapshot: bool,
    /// Whether it was told to stop.
    pub stopping: bool,
    /// Whether it has held its connection for suspiciously long.
    pub leak_suspected: bool,
    /// The request it runs for.
    pub request_id: Option<String>,
}
