//! SQLite's storage, breaking on command: a shim over the system's VFS that counts calls and fails, delays or hangs those
//! that a [`Fault`] names; an allocator that runs out of memory on command; and the real server on top of both.
//!
//! What must stay true: without a fault in force the shim passes every call through as it came; a fault concerns only
//! the files it names, so that tests of one process don't meet each other's; a fault is lifted when its [`Armed`] is
//! dropped, and whoever hangs in it goes on. [`install`] comes before the first use of SQLite in the process.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

pub mod memory;
pub mod server;
mod shim;

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::ffi;
use serde::{Deserialize, Serialize};

/// A call of SQLite's to its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Call {
    Open,
    Delete,
    Access,
    Read,
    Write,
    Truncate,
    Sync,
    FileSize,
    Lock,
    ShmMap,
    ShmLock,
}

/// Every call that can fail.
pub const ALL: &[Call] = &[
    Call::Open,
    Call::Delete,
    Call::Access,
    Call::Read,
    Call::Write,
    Call::Truncate,
    Call::Sync,
    Call::FileSize,
    Call::Lock,
    Call::ShmMap,
    Call::ShmLock,
];

impl Call {
    /// The extended code with which the system's VFS itself reports a failure of this call.
    fn natural_code(self) -> c_int {
        match self {
            Call::Open => ffi::SQLITE_CANTOPEN,
            Call::Delete => ffi::SQLITE_IOERR_DELETE,
            Call::Access => ffi::SQLITE_IOERR_ACCESS,
            Call::Read => ffi::SQLITE_IOERR_READ,
            Call::Write => ffi::SQLITE_IOERR_WRITE,
            Call::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Call::Sync => ffi::SQLITE_IOERR_FSYNC,
            Call::FileSize => ffi::SQLITE_IOERR_FSTAT,
            Call::Lock => ffi::SQLITE_IOERR_LOCK,
            Call::ShmMap => ffi::SQLITE_IOERR_SHMMAP,
            Call::ShmLock => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It fails with the code that the system's VFS gives, and EIO.
    Fails,
    /// It fails with this extended code and this errno.
    FailsWith(i32, i32),
    /// A write reaches the file with its first half and then fails; any other call just fails.
    Tears,
    /// It takes this much longer, in milliseconds, and succeeds.
    Delays(u64),
    /// It doesn't come back until the fault is lifted; then it succeeds.
    Hangs,
    /// Nothing; the calls are counted.
    Counts,
}

/// Which calls break, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// These calls.
    pub calls: Vec<Call>,
    /// To files below this folder.
    pub under: String,
    /// Whose name ends with this: `app.db`, `-wal`; empty for all.
    pub suffix: String,
    /// The first of the matching calls that breaks, from 0.
    pub from: u64,
    /// How many break from there on.
    pub times: u64,
    /// How they break.
    pub effect: Effect,
}

impl Fault {
    /// Every one of these calls, to files below `under` whose names end with `suffix`, fails.
    pub fn lasting(calls: &[Call], under: &std::path::Path, suffix: &str, effect: Effect) -> Self {
        Self {
            calls: calls.to_vec(),
            under: under.to_str().expect("text").to_owned(),
            suffix: suffix.to_owned(),
            from: 0,
            times: u64::MAX,
            effect,
        }
    }

    /// Only that many calls from number `from` on.
    pub fn only(mut self, from: u64, times: u64) -> Self {
        (self.from, self.times) = (from, times);
        self
    }

    fn concerns(&self, call: Call, path: &str) -> bool {
        path.starts_with(&self.under) && path.ends_with(&self.suffix) && self.calls.contains(&call)
    }
}

/// A fault in force.
struct InForce {
    fault: Fault,
    seen: AtomicU64,
    hits: AtomicU64,
    lifted: Mutex<bool>,
    told: Condvar,
}

static IN_FORCE: RwLock<Vec<Arc<InForce>>> = RwLock::new(Vec::new());

thread_local! {
    /// The errno of the latest failure that was made up on this thread, until it is asked for.
    static ERRNO: Cell<Option<c_int>> = const { Cell::new(None) };
}

/// Keeps a fault in force.
pub struct Armed(Arc<InForce>);

impl Armed {
    /// Matching calls so far.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// Calls that were broken so far.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let mut all = IN_FORCE.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !Arc::ptr_eq(one, &self.0));
        drop(all);
        *self.0.lifted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.told.notify_all();
    }
}

/// Puts the shim and the allocator under everything that this process does with SQLite from now on.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        memory::install();
        shim::install();
    });
}

/// Puts a fault in force until what it gives is dropped.
#[must_use]
pub fn arm(fault: Fault) -> Armed {
    install();
    let one = Arc::new(InForce {
        fault,
        seen: AtomicU64::new(0),
        hits: AtomicU64::new(0),
        lifted: Mutex::new(false),
        told: Condvar::new(),
    });
    IN_FORCE
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Arc::clone(&one));
    Armed(one)
}

/// A failure to report instead of making the call.
struct Failure {
    code: c_int,
    /// Whether half of a write is made first.
    torn: bool,
}

/// Counts the call against every fault in force, and has the first due one take effect.
fn meet(call: Call, path: &str) -> Option<Failure> {
    let due = {
        let all = IN_FORCE.read().unwrap_or_else(PoisonError::into_inner);
        let mut due = None;
        for one in all.iter().filter(|one| one.fault.concerns(call, path)) {
            let number = one.seen.fetch_add(1, Ordering::Relaxed);
            let is_due = number >= one.fault.from && number - one.fault.from < one.fault.times;
            if is_due && due.is_none() {
                due = Some(Arc::clone(one));
            }
        }
        due?
    };
    due.hits.fetch_add(1, Ordering::Relaxed);
    let eio = rustix::io::Errno::IO.raw_os_error();
    let fails = |code, errno, torn| {
        ERRNO.set(Some(errno));
        Some(Failure { code, torn })
    };
    match due.fault.effect {
        Effect::Fails => fails(call.natural_code(), eio, false),
        Effect::FailsWith(code, errno) => fails(code, errno, false),
        Effect::Tears => fails(call.natural_code(), eio, true),
        Effect::Counts => None,
        Effect::Delays(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            None
        }
        Effect::Hangs => {
            let lifted = due.lifted.lock().unwrap_or_else(PoisonError::into_inner);
            drop(due.told.wait_while(lifted, |lifted| !*lifted));
            None
        }
    }
}
