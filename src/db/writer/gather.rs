//! The wait for those who were just answered (floor 1): the next batch takes them along where [`Pace`] says so.
//!
//! What must stay true: it ends, also where time stands still. Called by the writer's thread before each batch.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::pace::Pace;
use crate::clock;

/// Looks at the queue in one wait.
const MOST_LOOKS: u32 = 1000;

/// Waits while they come. By yielding: a sleep would take longer than they do, and who finds the thread asleep would
/// have to wake it.
pub fn gather(pace: &mut Pace, queued: &AtomicUsize) {
    let queued = || queued.load(Ordering::Relaxed);
    let before = queued();
    let Some((wanted, wait)) = pace.wait(before) else {
        return;
    };
    let until = clock::now() + wait;
    for _ in 0..MOST_LOOKS {
        if queued() >= wanted || clock::now() >= until {
            break;
        }
        std::thread::yield_now();
    }
    pace.waited(before, queued());
}
