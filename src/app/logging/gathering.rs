//! A writer that gathers lines (floor 7): whoever logs appends to memory, a thread writes what has come together.
//!
//! What must stay true: appending never waits for the disk and, while lines are waiting anyway, wakes nobody: one
//! wake and one write for every line would cost a busy server more than the request that the line is about; what
//! waits is bounded, and what finds no room is counted and told; dropping the guard writes what is left.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long the first line waits for others.
const GATHER: Duration = Duration::from_millis(50);
/// Most bytes that wait: some ten thousand lines.
const MOST_BYTES: usize = 4 << 20;
/// A buffer that grew beyond this in a burst is given back.
const KEPT_BYTES: usize = 256 << 10;

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    closing: bool,
}

/// Where lines gather; shared by reference as a writer of whole lines.
#[derive(Default)]
pub struct Lines {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting.lock();
        if waiting.bytes.len() + line.len() > MOST_BYTES {
            waiting.lost += 1;
            return Ok(line.len());
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if first {
            self.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the thread; dropping it writes what is left and ends the thread.
pub struct Guard {
    lines: Arc<Lines>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.waiting.lock().closing = true;
        self.lines.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its panic was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// Starts a thread of this name that writes to `target`.
///
/// # Errors
/// The operating system's, when it gives no thread.
pub fn start(target: impl Write + Send + 'static, name: &str) -> io::Result<(Arc<Lines>, Guard)> {
    let lines = Arc::<Lines>::default();
    let of_thread = Arc::clone(&lines);
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || of_thread.write_out(target))?;
    let guard = Guard {
        lines: Arc::clone(&lines),
        thread: Some(thread),
    };
    Ok((lines, guard))
}

impl Lines {
    fn write_out(&self, mut target: impl Write) {
        let mut taken = Vec::new();
        loop {
            let (lost, closing) = self.take(&mut taken);
            // A log that can't be written has nowhere to say so; the next lines are tried again.
            let _ = target.write_all(&taken).and_then(|()| target.flush());
            taken.clear();
            taken.shrink_to(KEPT_BYTES);
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "log lines were dropped: they came faster than they could be written"
                );
            }
            if closing {
                return;
            }
        }
    }

    /// Waits until lines have gathered or the end has come, and takes them.
    fn take(&self, taken: &mut Vec<u8>) -> (u64, bool) {
        let mut waiting = self.waiting.lock();
        while waiting.bytes.is_empty() && !waiting.closing {
            self.changed.wait(&mut waiting);
        }
        if !waiting.closing {
            self.changed.wait_for(&mut waiting, GATHER);
        }
        std::mem::swap(&mut waiting.bytes, taken);
        (std::mem::take(&mut waiting.lost), waiting.closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Target(Arc<Mutex<Vec<u8>>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_by_the_end() {
        let target = Target::default();
        let (lines, guard) = start(target.clone(), "test").expect("a thread");
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            (&*lines).write_all(line.as_bytes()).expect("never fails");
            expected.push_str(&line);
        }
        drop(guard);
        assert_eq!(String::from_utf8(target.0.lock().clone()).expect("text"), expected);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nothing_is_cut() {
        let lines = Lines::default();
        let line = [b'x'; 1000];
        for _ in 0..MOST_BYTES / line.len() + 3 {
            assert_eq!((&lines).write(&line).expect("never fails"), line.len());
        }
        let mut taken = Vec::new();
        let (lost, closing) = lines.take(&mut taken);
        assert_eq!((lost, closing), (3, false));
        assert_eq!(taken.len() % line.len(), 0);
        assert!(lines.waiting.lock().bytes.is_empty());
    }
}
