//! Why a connection could not be made (floor 1), and the latest such failure, kept for those who wait for one.
//!
//! What must stay true: a success clears it, so that no wait is blamed on a failure that is over. Called by the manager;
//! the pool asks.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock;

/// A failure to connect explains waits that begin at most this much later.
const STILL_RELEVANT: Duration = Duration::from_secs(3);

/// Why a connection could not be made or was found bad.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// SQLite's error.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The path no longer names the file that was opened.
    #[error("the database file was deleted or replaced")]
    Moved,
    /// It lived long enough.
    #[error("the connection reached its lifetime")]
    Expired,
    /// A panic, or an error without a code, while connecting or checking.
    #[error("failed while {0}")]
    Failed(&'static str),
}

impl ConnectError {
    /// The same, as far as it can be copied: rusqlite's errors aren't `Clone`, their codes are.
    fn copied(&self) -> Self {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(code, text)) => {
                Self::Sqlite(rusqlite::Error::SqliteFailure(*code, text.clone()))
            }
            Self::Sqlite(_) => Self::Failed("configuring"),
            Self::Moved => Self::Moved,
            Self::Expired => Self::Expired,
            Self::Failed(doing) => Self::Failed(doing),
        }
    }
}

/// The latest failure to connect, so that a waiter learns the cause of its wait: r2d2 itself only says "timed out".
#[derive(Default)]
pub struct LastFailure(Mutex<Option<(Instant, ConnectError)>>);

impl LastFailure {
    /// The failure that explains a wait that began at `since`: one that came later, or that was recent by then and not
    /// followed by a success.
    pub fn since(&self, since: Instant) -> Option<ConnectError> {
        let last = self.0.lock();
        let (at, error) = last.as_ref()?;
        (*at + STILL_RELEVANT >= since).then(|| error.copied())
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn keep(&self, error: &ConnectError) {
        *self.0.lock() = Some((clock::now(), error.copied()));
    }
}
