//! A running operation as it is named and shown (floor 1).
//!
//! What must stay true: a name is written and read the same way.

use std::fmt;
use std::panic::Location;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::db::operation::Origin;

/// Who asked for an operation.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where in the program.
    pub site: &'static Location<'static>,
    /// For which request.
    pub origin: Option<Arc<Origin>>,
}

/// Names one run of one operation; written `12-7`, place and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId {
    pub(super) slot: u32,
    pub(super) generation: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.slot, self.generation)
    }
}

impl FromStr for OperationId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (slot, generation) = text.split_once('-').ok_or(())?;
        let parsed = (slot.parse().map_err(drop)?, generation.parse().map_err(drop)?);
        let (slot, generation) = parsed;
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
