//! What happened in a simulation (floor 1, tests only): the last lines for people, and a hash of all that happened.
//!
//! What must stay true: two runs of a seed give the same hash after every step; what is told holds nothing that differs
//! between them. Each call to the disk and its time count too, so that a run which only takes another way to the same
//! answers is seen as well. With `SIMULATION_TRACE=file` everything is appended to `file.SEED`, to be compared line by line.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Duration;

use super::faults::Call;

const KEPT: usize = 40;

/// The trace.
pub struct Trace {
    last: RefCell<VecDeque<String>>,
    hash: Cell<u64>,
    steps: RefCell<Vec<u64>>,
    whole: Option<RefCell<BufWriter<File>>>,
}

impl Trace {
    pub fn new(seed: u64) -> Self {
        let whole = std::env::var_os("SIMULATION_TRACE").map(|mut path| {
            path.push(format!(".{seed}"));
            let file = File::options().create(true).append(true).open(path);
            RefCell::new(BufWriter::new(file.expect("a file to write to")))
        });
        Self {
            last: RefCell::default(),
            // FNV-1a: enough to tell two runs apart.
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            steps: RefCell::default(),
            whole,
        }
    }

    fn fold(&self, bytes: &[u8]) {
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.hash.set(bytes.iter().fold(self.hash.get(), fold));
    }

    fn keep(&self, line: std::fmt::Arguments<'_>) {
        if let Some(whole) = &self.whole {
            writeln!(whole.borrow_mut(), "{line}").expect("a file to write to");
        }
    }

    pub fn line(&self, line: impl FnOnce() -> String) {
        let line = line();
        self.fold(line.as_bytes());
        self.keep(format_args!("{line}"));
        let mut last = self.last.borrow_mut();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line);
    }

    /// Something was asked of the disk.
    pub fn call(&self, call: Call, at: Duration) {
        self.fold(&[call as u8]);
        self.fold(&(at.as_nanos() as u64).to_le_bytes());
        self.keep(format_args!("    {call:?} at {at:?}"));
    }

    /// A step is over.
    pub fn step(&self) {
        self.steps.borrow_mut().push(self.hash.get());
    }

    /// The hash after each step.
    pub fn steps(&self) -> Vec<u64> {
        self.steps.borrow().clone()
    }

    pub fn last(&self) -> String {
        self.last.borrow().iter().map(|line| format!("    {line}\n")).collect()
    }
}
