//! The faults of a simulated disk (floor 1, tests only).
//!
//! What must stay true: a fault strikes at the call it was planned for, counted from when it was planned, so that a
//! seed always fails at the same place. Called by the VFS at each call, and by the simulation that plans.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use rusqlite::ffi;

use super::tally::Counts;

/// What SQLite asks of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Delete,
    Access,
    Lock,
    Map,
    /// The word that a transaction is committed, which comes when it is.
    Committed,
}

impl Call {
    pub const ALL: [Call; 11] = [
        Call::Open,
        Call::Read,
        Call::Write,
        Call::Truncate,
        Call::Sync,
        Call::Size,
        Call::Delete,
        Call::Access,
        Call::Lock,
        Call::Map,
        Call::Committed,
    ];

    /// The code that SQLite's own VFS gives when the system refuses this call.
    pub fn code(self) -> i32 {
        match self {
            Call::Open => ffi::SQLITE_CANTOPEN,
            Call::Read => ffi::SQLITE_IOERR_READ,
            Call::Write => ffi::SQLITE_IOERR_WRITE,
            Call::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Call::Sync => ffi::SQLITE_IOERR_FSYNC,
            Call::Size => ffi::SQLITE_IOERR_FSTAT,
            Call::Delete => ffi::SQLITE_IOERR_DELETE,
            Call::Access => ffi::SQLITE_IOERR_ACCESS,
            Call::Lock => ffi::SQLITE_IOERR_SHMLOCK,
            Call::Map => ffi::SQLITE_IOERR_SHMMAP,
            Call::Committed => ffi::SQLITE_IOERR,
        }
    }
}

/// A fault in waiting.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The call it strikes.
    pub call: Call,
    /// How many such calls pass before.
    pub after: u32,
    /// What is answered instead; `None` for slowness alone.
    pub code: Option<i32>,
    /// How long the call takes.
    pub takes: Duration,
    /// Whether it goes on.
    pub lasting: bool,
}

/// How the process ends in the midst of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Killed,
    PowerLost,
}

/// What is planned.
#[derive(Default)]
pub struct Faults {
    planned: RefCell<Vec<Fault>>,
    end: Cell<Option<(u32, End)>>,
    /// Bytes the disk holds; 0 is no limit.
    pub capacity: Cell<usize>,
    /// Faults that struck, by call and code.
    pub struck: RefCell<Counts>,
}

/// What becomes of a call.
pub struct Verdict {
    pub takes: Duration,
    pub code: Option<i32>,
    pub end: Option<End>,
}

impl Faults {
    pub fn plan(&self, fault: Fault) {
        self.planned.borrow_mut().push(fault);
    }

    /// The process ends at the `after`th call from now that changes something.
    pub fn plan_end(&self, after: u32, end: End) {
        self.end.set(Some((after, end)));
    }

    pub fn lift(&self) {
        self.planned.borrow_mut().clear();
        self.end.set(None);
        self.capacity.set(0);
    }

    /// What becomes of this call.
    pub fn strike(&self, call: Call) -> Verdict {
        let mut verdict = Verdict {
            takes: Duration::ZERO,
            code: None,
            end: None,
        };
        if matches!(call, Call::Write | Call::Sync | Call::Truncate | Call::Delete)
            && let Some((left, end)) = self.end.get()
        {
            self.end.set((left > 0).then(|| (left - 1, end)));
            verdict.end = (left == 0).then_some(end);
        }
        self.planned.borrow_mut().retain_mut(|fault| {
            if fault.call != call {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            let what = fault.code.map_or("slow".to_owned(), |code| format!("code {code}"));
            self.struck.borrow_mut().count(format!("{call:?} {what}"));
            verdict.takes += fault.takes;
            verdict.code = verdict.code.or(fault.code);
            fault.lasting
        });
        verdict
    }
}
