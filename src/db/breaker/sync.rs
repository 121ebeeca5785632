//! What the breaker's lock-free part is made of (floor 1): atomics, the mutex, and its sizes.
//!
//! What must stay true: nothing but these names and numbers, because `tests/breaker_loom.rs` puts a model checker's
//! types and small sizes in their place and checks the very files that use them.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

pub use std::sync::atomic::{AtomicU64, Ordering};

pub use parking_lot::Mutex;

/// How far back the rates look, in seconds.
pub const WINDOW_SECONDS: u64 = 60;
/// Slots for seconds: a power of two above the window, so that a slot in use is never one that still counts.
pub const SLOTS: u64 = 64;
/// Copies of the counters, so that threads seldom write the same cache line.
pub const STRIPES: usize = 8;

/// Which copy the calling thread counts in.
#[inline]
pub fn stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let own = OWN.get();
    if own != usize::MAX {
        return own;
    }
    let own = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
    OWN.set(own);
    own
}
