use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// An output that shows what comes in each call, and may be held up.
struct Shown(Sender<Vec<u8>>, Arc<Mutex<()>>);

impl Write for Shown {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        // Who looks no longer misses nothing.
        let _ = self.0.send(text.to_vec());
        drop(self.1.lock());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn shown() -> (Arc<Queue>, Receiver<Vec<u8>>, Arc<Mutex<()>>) {
    let (seen, calls) = channel();
    let gate = Arc::new(Mutex::new(()));
    let queue = Queue::start("test", Shown(seen, Arc::clone(&gate))).expect("a thread");
    (queue, calls, gate)
}

#[test]
fn lines_that_come_together_are_written_together_and_in_order() {
    let (queue, calls, gate) = shown();
    let held = gate.lock();
    queue.add(b"first\n", false);
    assert_eq!(calls.recv_timeout(SOON).expect("written by itself"), b"first\n");
    for number in 0..100 {
        queue.add(format!("{number}\n").as_bytes(), false);
    }
    drop(held);
    let all: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(calls.recv_timeout(SOON).expect("the rest"), all.as_bytes());
}

#[test]
fn what_waits_is_written_when_it_is_flushed_and_an_output_that_hangs_holds_nobody_up_for_long() {
    let (queue, calls, gate) = shown();
    queue.flush(SOON);
    queue.add(b"one\n", false);
    queue.flush(SOON);
    assert_eq!(calls.try_recv().expect("written already"), b"one\n");
    let held = gate.lock();
    queue.add(b"two\n", true);
    calls.recv_timeout(SOON).expect("begun");
    let before = Instant::now();
    queue.flush(Duration::from_millis(30));
    assert!(before.elapsed() < SOON, "it gave up");
    queue.add(b"three\n", false);
    drop(held);
    queue.flush(SOON);
    assert_eq!(calls.try_recv().expect("written"), b"three\n");
}

#[test]
fn while_the_output_hangs_what_waits_is_bounded_and_the_lost_are_counted() {
    let (queue, calls, gate) = shown();
    let held = gate.lock();
    queue.add(b"x\n", true);
    calls.recv_timeout(SOON).expect("begun");
    let mut line = vec![b'y'; MOST_BYTES / 4];
    line.push(b'\n');
    line.remove(0);
    (0..7).for_each(|_| queue.add(&line, false));
    {
        let waiting = queue.waiting.lock();
        assert_eq!((waiting.text.len(), waiting.lost), (MOST_BYTES, 3));
    }
    drop(held);
    queue.flush(SOON);
    assert_eq!(calls.try_recv().expect("those that found room").len(), MOST_BYTES);
    queue.add(b"z\n", true);
    queue.flush(SOON);
    assert_eq!(calls.try_recv().expect("it goes on"), b"z\n");
    assert!(
        queue.waiting.lock().text.capacity() <= 2 * KEPT_BYTES,
        "the memory is given back"
    );
}

/// Takes so many bytes and then fails until it is mended.
struct Full {
    room: usize,
    taken: Vec<u8>,
}

impl Write for Full {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let length = text.len().min(self.room);
        if length == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.room -= length;
        self.taken.extend_from_slice(&text[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_tears_no_line_but_the_one_it_stopped_in_and_its_losses_are_counted() {
    let mut pen = Pen::of(
        "test",
        Full {
            room: 6,
            taken: Vec::new(),
        },
    );
    pen.write(b"one\ntwo\nthree\n", 1);
    assert_eq!((pen.lost, pen.is_failing, pen.is_torn), (3, true, true));
    pen.write(b"four\n", 0);
    assert_eq!(pen.lost, 4, "counted, not repeated");
    pen.output.room = 100;
    pen.write(b"five\n", 0);
    assert_eq!((pen.lost, pen.is_failing), (0, false));
    assert_eq!(String::from_utf8_lossy(&pen.output.taken), "one\ntw\nfive\n");
}
