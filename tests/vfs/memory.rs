//! SQLite's allocator, running out of memory on command.
//!
//! What must stay true: it stands before SQLite is initialised, and passes everything on to the allocator that was there;
//! an allocation fails the way it does in SQLite's own tests: the Nth from now, once or from then on.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::ffi::{
    SQLITE_CONFIG_GETMALLOC, SQLITE_CONFIG_MALLOC, SQLITE_OK, sqlite3_config, sqlite3_initialize, sqlite3_mem_methods,
};

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

static REAL: OnceLock<(Malloc, Realloc)> = OnceLock::new();
/// Allocations that were asked for, those that fail, and the range of numbers that do.
static ASKED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static FROM: AtomicU64 = AtomicU64::new(u64::MAX);
static TO: AtomicU64 = AtomicU64::new(u64::MAX);

/// Lets `times` allocations of the whole process fail, from the one number `from` on that is asked for from now.
pub fn run_out(from: u64, times: u64) {
    FROM.store(u64::MAX, Ordering::SeqCst);
    ASKED.store(0, Ordering::SeqCst);
    FAILED.store(0, Ordering::SeqCst);
    TO.store(from.saturating_add(times), Ordering::SeqCst);
    FROM.store(from, Ordering::SeqCst);
}

/// There is memory again; gives how many allocations were asked for since [`run_out`], and how many failed.
pub fn recover() -> (u64, u64) {
    FROM.store(u64::MAX, Ordering::SeqCst);
    (ASKED.load(Ordering::SeqCst), FAILED.load(Ordering::SeqCst))
}

fn real() -> (Malloc, Realloc) {
    *REAL.get().expect("SQLite calls what was installed")
}

fn is_out() -> bool {
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    let out = number >= FROM.load(Ordering::Relaxed) && number < TO.load(Ordering::Relaxed);
    if out {
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
    out
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    if is_out() {
        return ptr::null_mut();
    }
    // SAFETY: SQLite's own argument, passed on.
    unsafe { (real().0)(bytes) }
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    if is_out() {
        return ptr::null_mut();
    }
    // SAFETY: SQLite's own arguments, passed on.
    unsafe { (real().1)(memory, bytes) }
}

/// Takes the place of SQLite's allocator. Before SQLite's first use in this process.
pub(super) fn install() {
    // SAFETY: a structure of function pointers and one pointer, for which zero is a value; SQLite fills it in.
    let mut methods: sqlite3_mem_methods = unsafe { std::mem::zeroed() };
    // SAFETY: as documented for these options: a pointer to the structure, read or filled in during the call.
    unsafe {
        assert_eq!(
            sqlite3_config(SQLITE_CONFIG_GETMALLOC, &raw mut methods),
            SQLITE_OK,
            "SQLite was used before"
        );
        let (malloc_before, realloc_before) = (methods.xMalloc, methods.xRealloc);
        let both = malloc_before.zip(realloc_before).expect("every allocator has them");
        REAL.set(both).expect("installed once");
        methods.xMalloc = Some(malloc);
        methods.xRealloc = Some(realloc);
        assert_eq!(sqlite3_config(SQLITE_CONFIG_MALLOC, &raw mut methods), SQLITE_OK);
        assert_eq!(sqlite3_initialize(), SQLITE_OK);
    }
}
