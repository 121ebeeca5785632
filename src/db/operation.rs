//! What an operation is (floor 1): its name, what it costs, how long it may take, and what became of it.

use std::time::Duration;

/// The request on whose behalf an operation runs, so that what it causes can be told with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request's id.
    pub request_id: String,
    /// The peer's address.
    pub ip: Option<String>,
    /// The request's path.
    pub path: String,
}

/// How much work a read is, which decides where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// A short indexed read: may run in place on an async worker when a connection is free at once.
    Point,
    /// Anything else: runs on a reader thread.
    Scan,
}

/// Whether an operation may be repeated when it isn't known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A read: always.
    Read,
    /// A write that has the same effect and answer however often it is done.
    Idempotent,
    /// A write that is repeated only while it is certain that nothing was done.
    Unsafe,
}

/// A named operation. The name is constant text such as `documents.get`, used in errors, metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The name.
    pub name: &'static str,
    /// Where a read runs; writes ignore it.
    pub cost: Cost,
    /// A deadline of its own, shorter than the configured one.
    pub timeout: Option<Duration>,
    /// Whether it may be repeated after an unknown outcome.
    pub repeat: Repeat,
    /// Whether a write waits for an open breaker where the time to come back lies before its deadline.
    pub is_patient: bool,
    /// Whether a write makes way for others; see [`Operation::in_background`].
    pub is_background: bool,
    /// Bytes that a write carries with it while it waits; see [`Operation::carrying`].
    pub bytes: usize,
}

impl Operation {
    /// A short indexed read.
    pub const fn point(name: &'static str) -> Self {
        Self {
            name,
            cost: Cost::Point,
            timeout: None,
            repeat: Repeat::Read,
            is_patient: false,
            is_background: false,
            bytes: 0,
        }
    }

    /// A read that may take long.
    pub const fn scan(name: &'static str) -> Self {
        Self {
            cost: Cost::Scan,
            ..Self::point(name)
        }
    }

    /// A write. It is never repeated after an unknown outcome, unless it is declared [`Operation::idempotent`].
    pub const fn write(name: &'static str) -> Self {
        Self {
            repeat: Repeat::Unsafe,
            ..Self::scan(name)
        }
    }

    /// The same for a write that has one effect and one answer however often it is done: an upsert by id, an insert
    /// that ignores what is there.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.repeat = Repeat::Idempotent;
        self
    }

    /// The same for a write in the background that would rather wait for an open breaker than be refused at once. Who
    /// answers a user is better served by the refusal.
    #[must_use]
    pub const fn patient(mut self) -> Self {
        self.is_patient = true;
        self
    }

    /// The same for a write that nobody waits for, such as a step of upkeep: it lets those go first who wait already, and
    /// never joins a transaction that others wait for. It is the next one after them, so it can't be kept waiting.
    #[must_use]
    pub const fn in_background(mut self) -> Self {
        self.is_background = true;
        self
    }

    /// The same for a write whose job holds so many bytes of its caller's: what waits for the writer is bounded by them
    /// too, so that a few thousand large documents can't take the memory that everybody needs.
    #[must_use]
    pub const fn carrying(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same with a deadline of its own.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// What a write job decided about its own changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<T> {
    /// Keep the changes; the caller is answered after they are on disk.
    Commit(T),
    /// Undo this job's changes and answer with the value all the same.
    Rollback(T),
}

/// What a read with a fallback gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Safe<T> {
    /// Read now.
    Value(T),
    /// Not readable now: the fallback, and why.
    Fallback {
        /// The substitute.
        value: T,
        /// Why the database gave none.
        reason: super::DbError,
        /// How old the substitute is; `None` when it never came from the database.
        age: Option<Duration>,
    },
}
