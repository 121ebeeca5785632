//! Small batches that come at once, gathered into one write job (floor 2).
//!
//! A job of one event runs as many statements for its group, its hour and the statistics as one of a hundred. So while
//! two jobs are on their way, whoever comes waits, and the next job takes all of them: the busier it is, the less an event
//! costs; who is alone waits for nobody.
//! What must stay true: each caller gets the answer for its own events, or its job's error; no caller is kept beyond its
//! patience by those before it; a caller that leaves stops nobody; what waits is bounded. Called by `DatabaseSink`.

use std::sync::Arc;
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
/// Most batches that wait.
const MOST_WAITING: usize = 1024;
/// Most batches of one job.
const MOST_TOGETHER: usize = 128;
/// Jobs on their way: one is committed while the next one gathers.
const JOBS: usize = 2;

/// One caller's events.
pub(super) type Batch = Arc<Vec<Prepared>>;

struct Waiting {
    batch: Batch,
    bytes: usize,
    since: Instant,
    answer: oneshot::Sender<Result<Vec<Inserted>, DbError>>,
}

/// Where small batches wait for the next job.
pub(super) struct Gatherer {
    queue: mpsc::Sender<Waiting>,
}

impl Gatherer {
    /// Starts the task on the present runtime; it ends with this handle.
    pub(super) fn start(writing: Arc<Writing>) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(run(writing, waiting));
        Self { queue }
    }

    /// The answer that will come; `None` when too many wait already.
    pub(super) fn add(&self, batch: Batch, bytes: usize) -> Option<oneshot::Receiver<Result<Vec<Inserted>, DbError>>> {
        let (answer, answered) = oneshot::channel();
        let since = clock::now();
        let waiting = Waiting {
            batch,
            bytes,
            since,
            answer,
        };
        self.queue.try_send(waiting).ok().map(|()| answered)
    }
}

async fn run(writing: Arc<Writing>, mut queue: mpsc::Receiver<Waiting>) {
    let mut jobs = FuturesUnordered::new();
    let mut gathered = Vec::with_capacity(MOST_TOGETHER);
    let mut is_open = true;
    while is_open || !jobs.is_empty() {
        tokio::select! {
            // A job that is over first: those it kept waiting go with the next one.
            biased;
            Some(()) = jobs.next() => {}
            taken = queue.recv_many(&mut gathered, MOST_TOGETHER), if is_open && jobs.len() < JOBS => {
                is_open = taken > 0;
                if is_open {
                    jobs.push(write(&writing, std::mem::take(&mut gathered)));
                }
            }
        }
    }
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
