//! Numbers for operations (floor 1), drawn by every read and write and looked at only when one fails.
//!
//! What must stay true: no two operations of this process have the same one. Threads draw blocks, so that they don't
//! meet at one counter.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

const BLOCK: u64 = 1024;

/// A number nobody else has.
pub fn next() -> u64 {
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }
    let mut number = NEXT.get();
    if number.is_multiple_of(BLOCK) {
        // Each block gives all of its numbers but the first, whose remainder says that it is used up.
        number = BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK + 1;
    }
    NEXT.set(number + 1);
    number
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_are_the_same() {
        let draw = || (0..3000).map(|_| super::next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|t| t.join().expect("drawn")).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 12_000);
    }
}
