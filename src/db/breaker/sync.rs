//! What the breaker's lock-free part is made of (floor 1): atomics, the mutex, and its sizes.
//!
//! What must stay true: nothing but these names and numbers, because `tests/breaker_loom.rs` puts a model checker's
//! types and small sizes in their place and checks the very files that use them.

pub use std::sync::atomic::{AtomicU64, Ordering};

pub use parking_lot::Mutex;

/// How far back the rates look, in seconds.
pub const WINDOW_SECONDS: u64 = 60;
/// Slots for seconds: a power of two above the window, so that a slot in use is never one that still counts.
pub const SLOTS: u64 = 64;
/// Copies of the counters that belong to one thread at a time; at most 64. Each costs 512 bytes in every breaker, and
/// those who settle are the async workers and the writers, so that more would seldom be used.
pub const OWNED: usize = 24;
/// Copies that all other threads share.
pub const SHARED: usize = 8;
