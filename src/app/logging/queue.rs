//! Lines on their way to one output (floor 7): gathered in memory, written by a thread of its own.
//!
//! A thread that is woken for each line costs a request more than the line itself. So the first line wakes it, it lets
//! more gather for [`GATHER`], and writes them together.
//! What must stay true: who adds a line waits for nothing but the copying of another; what waits is bounded; lines that
//! found no room or could not be written are counted and told once the output works; an urgent line doesn't wait for more.
//! `lines` adds, `logging` flushes.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long lines gather, and with it how late one may be.
const GATHER: Duration = Duration::from_millis(10);
/// Most bytes that wait; a line beyond them is lost rather than holding anybody up.
const MOST_BYTES: usize = 4 << 20;
/// So many don't wait for more.
const MANY_BYTES: usize = MOST_BYTES / 4;
/// Memory that is kept for the next lines.
const KEPT_BYTES: usize = 256 << 10;

/// What waits for one output.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lost: u64,
    /// Whether the thread sleeps until a line comes.
    is_idle: bool,
    is_urgent: bool,
    is_being_written: bool,
}

impl Queue {
    /// Starts the thread, which lives as long as the process.
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    pub(super) fn start(name: &'static str, output: impl Write + Send + 'static) -> std::io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            written: Condvar::new(),
        });
        let (thread, mut pen) = (Arc::clone(&queue), Pen::of(name, output));
        let named = std::thread::Builder::new().name(format!("log-{name}"));
        named.spawn(move || thread.serve(&mut pen))?;
        Ok(queue)
    }

    /// Adds a line, which ends in a line break; one that is urgent is written at once.
    pub(super) fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.waiting.lock();
        let length = waiting.text.len() + line.len();
        // Where memory is short a line is lost, and the process goes on.
        if length > MOST_BYTES || waiting.text.try_reserve(line.len()).is_err() {
            waiting.lost += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        waiting.is_urgent |= urgent || length >= MANY_BYTES;
        if waiting.is_urgent || std::mem::take(&mut waiting.is_idle) {
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Writes what waits; gives up after `patience`. Blocking.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.waiting.lock();
        waiting.is_urgent = true;
        self.wake.notify_one();
        while waiting.is_being_written || !waiting.text.is_empty() {
            if self.written.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }

    fn serve(&self, pen: &mut Pen<impl Write>) {
        let mut text = Vec::new();
        loop {
            let lost = self.next(&mut text);
            pen.write(&text, lost);
            text.clear();
            text.shrink_to(KEPT_BYTES);
        }
    }

    /// Takes what has gathered, in exchange for what was written; gives how many lines were lost meanwhile.
    fn next(&self, text: &mut Vec<u8>) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.is_being_written = false;
        self.written.notify_all();
        while waiting.text.is_empty() {
            // Whoever flushes has nothing to wait for.
            waiting.is_urgent = false;
            waiting.is_idle = true;
            self.wake.wait(&mut waiting);
        }
        let until = Instant::now() + GATHER;
        while !waiting.is_urgent && !self.wake.wait_until(&mut waiting, until).timed_out() {}
        std::mem::swap(&mut waiting.text, text);
        (waiting.is_idle, waiting.is_urgent) = (false, false);
        waiting.is_being_written = true;
        std::mem::take(&mut waiting.lost)
    }
}

/// Writes to one output and tells what was lost.
struct Pen<W> {
    name: &'static str,
    output: W,
    /// Lines that were lost since it was last told.
    lost: u64,
    /// Whether the last write failed.
    is_failing: bool,
    /// Whether what was written last is a part of a line.
    is_torn: bool,
}

impl<W: Write> Pen<W> {
    fn of(name: &'static str, output: W) -> Self {
        Self {
            name,
            output,
            lost: 0,
            is_failing: false,
            is_torn: false,
        }
    }

    fn write(&mut self, text: &[u8], lost: u64) {
        self.lost += lost;
        let torn = if self.is_torn { self.put(b"\n") } else { Ok(()) };
        match torn.and_then(|()| self.put(text)) {
            Ok(()) => {
                self.is_failing = false;
                let lines = std::mem::take(&mut self.lost);
                if lines > 0 {
                    tracing::warn!(output = self.name, lines, "lines of the log were lost");
                }
            }
            // Once, so that an output that fails doesn't feed itself.
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                tracing::error!(output = self.name, %error, "the log can't be written");
            }
            Err(_) => {}
        }
    }

    /// Like `write_all`, but counts the lines that are not written whole.
    fn put(&mut self, mut text: &[u8]) -> std::io::Result<()> {
        while !text.is_empty() {
            let failed = match self.output.write(text) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(length) => {
                    self.is_torn = text[length - 1] != b'\n';
                    text = &text[length..];
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.lost += text.iter().filter(|byte| **byte == b'\n').count() as u64;
            return Err(failed);
        }
        self.output.flush()
    }
}

#[cfg(test)]
mod tests;
