//! Batches that come at once, gathered into one write job (floor 2).
//!
//! A job of one event runs as many statements for its group, its hour and the statistics as one of a hundred, and its
//! commit writes as many pages for them. So while two jobs are on their way, whoever comes waits, and the next job takes
//! all of them, up to what one shall hold: the busier it is, the less an event costs; who is alone waits for nobody.
//! Small batches and large ones are gathered apart, so that a single event waits for two large jobs at most.
//! What must stay true: each caller gets the answer for its own events, or its job's error; no caller is kept beyond its
//! patience by those before it; a caller that leaves stops nobody; what waits is bounded. Called by `DatabaseSink`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::Writing;
use crate::clock;
use crate::db::DbError;
use crate::events::store::{Inserted, Prepared};

/// A larger batch is a job of its own.
pub(super) const SMALL: usize = 16;
/// The same by its memory.
pub(super) const SMALL_BYTES: usize = 32 << 10;
/// Most batches that wait, and most bytes of them and of those on their way.
const MOST_WAITING: usize = 1024;
const MOST_WAITING_BYTES: usize = 32 << 20;
/// Jobs on their way: one is committed while the next one gathers.
const JOBS: usize = 2;

/// One caller's events.
pub(super) type Batch = Arc<Vec<Prepared>>;

/// What became of one caller's events.
pub(super) type Answer = oneshot::Receiver<Result<Vec<Inserted>, DbError>>;

struct Waiting {
    batch: Batch,
    bytes: usize,
    _held: Held,
    since: Instant,
    answer: oneshot::Sender<Result<Vec<Inserted>, DbError>>,
}

/// Bytes that are counted as long as this lives.
struct Held {
    sum: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// `None` when that would be too many.
    fn take(sum: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let held = Self {
            sum: Arc::clone(sum),
            bytes,
        };
        let before = sum.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= MOST_WAITING_BYTES).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one job takes at most; a batch that is larger is one alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    batches: usize,
    bytes: usize,
}

/// Of small batches.
pub(super) const OF_SMALL: Most = Most {
    batches: 128,
    bytes: 128 * SMALL_BYTES,
};
/// Of large ones: about 20 ms of the writer's time.
pub(super) const OF_LARGE: Most = Most {
    batches: 4,
    bytes: 4 << 20,
};

/// Where batches wait for the next job.
pub(super) struct Gatherer {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
}

impl Gatherer {
    /// Starts the task on the present runtime; it ends with this handle.
    pub(super) fn start(writing: Arc<Writing>, most: Most) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(run(writing, waiting, most));
        Self {
            queue,
            bytes: Arc::default(),
        }
    }

    /// The answer that will come; `None` when too many wait already.
    pub(super) fn add(&self, batch: Batch, bytes: usize) -> Option<Answer> {
        let held = Held::take(&self.bytes, bytes)?;
        let (answer, answered) = oneshot::channel();
        let since = clock::now();
        let waiting = Waiting {
            batch,
            bytes,
            _held: held,
            since,
            answer,
        };
        self.queue.try_send(waiting).ok().map(|()| answered)
    }
}

async fn run(writing: Arc<Writing>, mut queue: mpsc::Receiver<Waiting>, most: Most) {
    let mut jobs = FuturesUnordered::new();
    let mut gathered = Vec::with_capacity(most.batches);
    let mut is_open = true;
    while is_open || !jobs.is_empty() {
        tokio::select! {
            // A job that is over first: those it kept waiting go with the next one.
            biased;
            Some(()) = jobs.next() => {}
            taken = queue.recv_many(&mut gathered, most.batches), if is_open && jobs.len() < JOBS => {
                is_open = taken > 0;
                jobs.extend(parts(&mut gathered, most.bytes).into_iter().map(|part| write(&writing, part)));
            }
        }
    }
}

/// In their order, as many together as have so many bytes at most.
fn parts(gathered: &mut Vec<Waiting>, most_bytes: usize) -> Vec<Vec<Waiting>> {
    let (mut parts, mut room) = (Vec::<Vec<Waiting>>::new(), 0);
    for one in gathered.drain(..) {
        let bytes = one.bytes;
        match parts.last_mut().filter(|_| bytes <= room) {
            Some(part) => part.push(one),
            None => {
                room = most_bytes;
                parts.push(vec![one]);
            }
        }
        room = room.saturating_sub(bytes);
    }
    parts
}

/// One job for all of them, and to each its answer.
async fn write(writing: &Writing, mut all: Vec<Waiting>) {
    all.retain(|one| !one.answer.is_closed());
    let Some(longest) = all.iter().map(|one| clock::since(one.since)).max() else {
        return;
    };
    let bytes = all.iter().map(|one| one.bytes).sum();
    let batches: Vec<Batch> = all.iter().map(|one| Arc::clone(&one.batch)).collect();
    let patience = writing.patience.saturating_sub(longest).max(Duration::from_millis(1));
    match writing.write(batches, bytes, patience).await {
        Ok(inserted) => {
            let mut rest = inserted.as_slice();
            for one in all {
                // The job answers for each event of each batch, in their order.
                let (own, others) = rest.split_at(one.batch.len().min(rest.len()));
                rest = others;
                // Who left meanwhile is not waited for: the events stand.
                let _ = one.answer.send(Ok(own.to_vec()));
            }
        }
        Err(error) => all
            .into_iter()
            .for_each(|one| drop(one.answer.send(Err(error.clone())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(sum: &Arc<AtomicUsize>, bytes: usize) -> Option<Waiting> {
        let held = Held::take(sum, bytes)?;
        Some(Waiting {
            batch: Arc::default(),
            bytes,
            _held: held,
            since: clock::now(),
            answer: oneshot::channel().0,
        })
    }

    #[test]
    fn a_job_takes_what_fits_and_a_larger_batch_alone() {
        let sum = Arc::default();
        let mut gathered = [1, 1, 3, 9, 1]
            .into_iter()
            .filter_map(|bytes| waiting(&sum, bytes))
            .collect();
        let parts: Vec<Vec<usize>> = parts(&mut gathered, 4)
            .iter()
            .map(|part| part.iter().map(|one| one.bytes).collect())
            .collect();
        assert_eq!(parts, [vec![1, 1], vec![3], vec![9], vec![1]]);
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        let sum = Arc::default();
        let most = waiting(&sum, MOST_WAITING_BYTES).expect("there is room");
        assert!(waiting(&sum, 1).is_none());
        drop(most);
        assert!(waiting(&sum, 1).is_some());
        assert_eq!(sum.load(Ordering::Relaxed), 0);
    }
}
