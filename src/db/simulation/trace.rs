//! What happened in a simulation (floor 1, tests only): the last lines for people, and a hash of them all.
//!
//! What must stay true: two runs of a seed give the same hash; a line holds nothing that differs between them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

const KEPT: usize = 40;

/// The trace.
#[derive(Default)]
pub struct Trace {
    last: RefCell<VecDeque<String>>,
    hash: Cell<u64>,
}

impl Trace {
    pub fn line(&self, line: impl FnOnce() -> String) {
        let line = line();
        // FNV-1a: enough to tell two runs apart.
        let mut hash = self.hash.get() ^ 0xcbf2_9ce4_8422_2325;
        for byte in line.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash.set(hash);
        let mut last = self.last.borrow_mut();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line);
    }

    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    pub fn last(&self) -> String {
        self.last.borrow().iter().map(|line| format!("    {line}\n")).collect()
    }
}
