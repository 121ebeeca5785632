//! A lock, who holds it, and how that is said (floor 1, pure).
//!
//! What must stay true: the words claim no more than was seen; a lock of this process is called that. Made by
//! [`super::Holders`]; shown in causes, events and statistics, never to a client.

use serde::Serialize;

/// A lock of SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// Everything: nobody else reads or writes.
    Exclusive,
    /// The write-ahead log is being recovered: nobody else reads or writes.
    Recovery,
    /// Nobody else writes.
    Write,
    /// Nobody else checkpoints.
    Checkpoint,
    /// A snapshot is being read: what came after it stays in the write-ahead log.
    Read,
}

impl Lock {
    const fn word(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive lock",
            Self::Recovery => "recovery lock",
            Self::Write => "write lock",
            Self::Checkpoint => "checkpoint lock",
            Self::Read => "read lock",
        }
    }

    /// Whether it makes writing (or reading) wait.
    pub const fn blocks(self, writing: bool) -> bool {
        match self {
            Self::Exclusive | Self::Recovery => true,
            Self::Write => writing,
            // A checkpoint that resets the log keeps readers waiting for a moment.
            Self::Checkpoint => !writing,
            Self::Read => false,
        }
    }
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockHolder {
    /// The process; `None` where the system doesn't say.
    pub pid: Option<u32>,
    /// Its command's name, at most 15 characters as Linux keeps it; `None` where the system doesn't say.
    pub command: Option<String>,
    /// Whether it is this process: another connection of ours.
    pub ours: bool,
    /// Which lock.
    pub lock: Lock,
    /// For how long it was seen, in milliseconds; it may have been held for longer.
    pub held_ms: u64,
}

impl LockHolder {
    /// Who, in words: `sqlite3 (pid 4242)`.
    pub fn name(&self) -> String {
        match (self.ours, self.pid, &self.command) {
            (true, ..) => "this process itself".to_owned(),
            (_, Some(pid), Some(command)) => format!("{command} (pid {pid})"),
            (_, Some(pid), None) => format!("process {pid}"),
            (_, None, _) => "a process that the system does not name".to_owned(),
        }
    }

    /// Who holds what for how long: `the write lock is held by sqlite3 (pid 4242) for at least 3 s`.
    pub fn sentence(&self) -> String {
        let held = match self.held_ms {
            0 => String::new(),
            ms @ 1..1000 => format!(" for at least {ms} ms"),
            ms => format!(" for at least {} s", ms / 1000),
        };
        format!("the {} is held by {}{held}", self.lock.word(), self.name())
    }
}
