//! The writer's thread (floor 1): takes what is queued, tries it as one batch, and repeats the whole batch where
//! that can help.
//!
//! What must stay true: jobs whose caller left or whose deadline passed are skipped before they run; the commit's number
//! is beside the file before anybody is answered; no panic ends the thread. Started by `Writer::start`; what a failure means is `repeat`'s matter.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Shared;
use super::batch::{Attempt, BatchFailure, Bench, Committed, attempt};
use super::fence::{Fences, Watched};
use super::gather::{Arrivals, is_wanted, soon, turn_away};
use super::job::Job;
use super::pace::Pace;
use super::permits::Permits;
use super::repeat::{Jobs, again, answer, answer_all};
use super::upkeep::OPTIMIZE_FIRST;
use crate::clock;
use crate::db::breaker::Outcome;
use crate::db::checkpoint::{BUSY_CAP, GROWN_PAGES};
use crate::db::panic_text::panic_text;
use crate::db::sequence::Sequence;
use crate::db::statements::{self, Watch};
use crate::db::verdict::{Direction, verdict, worked};

const CHECKPOINT_CAP: Duration = Duration::from_millis(900);
/// Idle looks: for a number that waits to be synced, and for answers that are too old.
const SYNC_AFTER: Duration = Duration::from_secs(1);
pub(super) const PRUNE_AFTER: Duration = Duration::from_secs(60);

/// What the thread keeps from batch to batch.
pub struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) sequence: Sequence,
    pace: Pace,
    fences: Fences,
    pub(super) prune_at: Instant,
    pub(super) optimize_at: Instant,
    /// Pages in the log since its keeper was woken.
    grown_pages: u64,
    /// Jobs of the background that let others go first; they are next.
    held: VecDeque<Box<dyn Job>>,
}

/// Runs until every sender is gone and the queue is empty, then checkpoints.
pub fn run(desk: &mut Desk, queue: &Receiver<Box<dyn Job>>) {
    let shared = &*Arc::clone(&desk.shared);
    // Jobs answer for their own panics. Any other, such as an observer's, costs the batch at hand and no more: its jobs
    // are dropped, their callers know from their turns what is certain, and the connection goes with its transaction.
    while let Err(panic) = catch_unwind(AssertUnwindSafe(|| desk.serve(queue))) {
        shared.underway.end();
        shared.metrics.in_hand.store(0, Ordering::Relaxed);
        let panic = panic_text(&*panic);
        tracing::error!(
            database = shared.database,
            panic,
            "the writer panicked outside a job; it goes on"
        );
    }
    desk.keep_number(Sequence::sync);
    checkpoint(shared);
}

fn checkpoint(shared: &Shared) {
    if shared.breaker.status().state == "ISOLATED" {
        return; // The write-ahead log is evidence.
    }
    if let Ok(connection) = shared.pool.checkout("close", clock::now() + CHECKPOINT_CAP) {
        // What isn't checkpointed now is read from the WAL at the next start.
        let _ = connection.busy_timeout(BUSY_CAP);
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

/// Answers those who can't be helped any more and keeps the rest.
fn still_wanted(shared: &Shared, jobs: Jobs) -> Jobs {
    let (kept, others): (Jobs, Jobs) = jobs.into_iter().partition(|job| is_wanted(&**job));
    others.into_iter().for_each(|job| turn_away(shared, job));
    kept
}

impl Desk {
    /// With nothing done yet.
    pub fn new(shared: Arc<Shared>, sequence: Sequence) -> Self {
        Self {
            shared,
            sequence,
            pace: Pace::default(),
            fences: Fences::default(),
            prune_at: clock::now() + PRUNE_AFTER,
            optimize_at: clock::now() + OPTIMIZE_FIRST,
            grown_pages: 0,
            held: VecDeque::new(),
        }
    }

    /// Runs one batch in a simulation, if anything is queued.
    #[cfg(test)]
    pub fn turn(&mut self, queue: &Receiver<Box<dyn Job>>) -> bool {
        if let Some(held) = self.held.pop_front() {
            self.batch(vec![held], queue);
        } else if let Ok(first) = queue.try_recv() {
            self.batch_of(first, queue);
        } else {
            self.idle();
            return false;
        }
        true
    }

    /// Takes batch after batch until every sender is gone and the queue is empty.
    fn serve(&mut self, queue: &Receiver<Box<dyn Job>>) {
        loop {
            if let Some(held) = self.held.pop_front() {
                self.batch(vec![held], queue);
                continue;
            }
            let patience = if self.sequence.is_unsynced() {
                SYNC_AFTER
            } else {
                PRUNE_AFTER
            };
            match self.first(queue, patience) {
                Ok(first) => self.batch_of(first, queue),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The next batch's first job, which comes soon or late.
    fn first(&mut self, queue: &Receiver<Box<dyn Job>>, patience: Duration) -> Result<Box<dyn Job>, RecvTimeoutError> {
        if let Some(wait) = self.pace.wait_for_first() {
            match soon(queue, clock::now() + wait) {
                Some(job) => return Ok(job),
                None => self.pace.waited_in_vain(),
            }
        }
        queue.recv_timeout(patience)
    }

    fn batch_of(&mut self, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) {
        let limit = self.pace.limit();
        // Whoever waits already shares the attempt from its BEGIN on, so that a lock is waited for once, for all of them.
        let waiting: Jobs = std::iter::once(first).chain(queue.try_iter().take(limit - 1)).collect();
        self.shared.metrics.queued.fetch_sub(waiting.len(), Ordering::Relaxed);
        let (background, mut jobs): (Jobs, Jobs) = waiting.into_iter().partition(|job| job.operation().is_background);
        self.held.extend(background);
        if jobs.is_empty() {
            jobs.extend(self.held.pop_front());
        }
        self.batch(jobs, queue);
    }

    fn batch(&mut self, jobs: Jobs, queue: &Receiver<Box<dyn Job>>) {
        let shared = &*Arc::clone(&self.shared);
        shared.metrics.batch_limit.store(self.pace.limit(), Ordering::Relaxed);
        shared.metrics.in_hand.store(jobs.len(), Ordering::Relaxed);
        let mut held = std::mem::take(&mut self.held);
        let arrivals = Arrivals::new(shared, queue, &mut held, &mut self.pace, jobs.len());
        self.run_batch(jobs, Some(arrivals));
        self.held = held;
        shared.metrics.in_hand.store(0, Ordering::Relaxed);
        self.keep_number(Sequence::sync_if_due);
    }

    /// The file of the last number hangs with the disk as well: it is seen from outside like an attempt.
    pub(super) fn keep_number(&mut self, step: impl FnOnce(&mut Sequence)) {
        self.shared.underway.begin();
        step(&mut self.sequence);
        self.shared.underway.end();
    }

    pub(super) fn run_batch(&mut self, mut jobs: Jobs, mut arrivals: Option<Arrivals<'_>>) {
        let shared = &*Arc::clone(&self.shared);
        let (mut attempts, mut number) = (0, None);
        loop {
            jobs = still_wanted(shared, jobs);
            if jobs.is_empty() {
                return;
            }
            let mut permits = match Permits::gather(shared, &mut jobs, &mut number) {
                Ok(permits) => permits,
                Err(error) => return answer_all(jobs, &error),
            };
            let started = clock::now();
            match self.try_once(&mut jobs, &mut permits, arrivals.take()) {
                Attempt::Committed(committed) => {
                    let took = clock::since(started);
                    let lead = jobs[0].operation().name;
                    permits.settle(worked(lead, took, shared.settings.operation.timeout));
                    return self.committed(jobs, committed, took);
                }
                // Nobody wanted to be run again.
                Attempt::Unfenced => permits.settle(Outcome::Ignored),
                Attempt::Culprit(index, error) => {
                    permits.settle(Outcome::Ignored);
                    // The others keep their order: who came first goes first.
                    answer(jobs.remove(index), &error);
                }
                Attempt::Failed(failure) => {
                    attempts += 1;
                    shared.room.failed(&failure.error, &shared.breaker);
                    let outcome = verdict(Direction::Write, &failure.error, failure.lock_budget_spent);
                    if let Outcome::Isolate { cause } = &outcome {
                        shared.read_breaker.isolate(cause);
                    }
                    permits.settle(outcome);
                    match again(shared, jobs, &failure, attempts) {
                        Some(waited) => jobs = waited,
                        None => return,
                    }
                }
            }
        }
    }

    fn try_once(&mut self, jobs: &mut Jobs, permits: &mut Permits, mut arrivals: Option<Arrivals<'_>>) -> Attempt {
        let shared = &*Arc::clone(&self.shared);
        let operation = jobs[0].operation().name;
        let now = clock::now();
        let last_deadline = jobs.iter().map(|job| job.deadline()).max().unwrap_or(now);
        let until = last_deadline.min(now + shared.settings.pool.connect_timeout);
        let mut connection = match shared.pool.checkout(operation, until) {
            Ok(connection) => connection,
            Err(error) => {
                return Attempt::Failed(BatchFailure {
                    error,
                    lock_budget_spent: false,
                    outcome_unknown: false,
                });
            }
        };
        let mut bench = Bench {
            database: shared.database,
            connection: &mut connection,
            lock_budget: shared.settings.operation.lock_timeout,
            sequence: &mut self.sequence,
            watched: Watched {
                active: &shared.active,
                statements: &shared.statements,
            },
            fencing: self.fences.next(),
        };
        let acquire = clock::now().saturating_duration_since(now);
        let watch = Watch::enter(operation);
        shared.underway.begin();
        let mut made = attempt(&mut bench, jobs, arrivals.as_mut());
        if matches!(made, Attempt::Unfenced) {
            *jobs = still_wanted(shared, std::mem::take(jobs));
            bench.fencing = self.fences.needed();
            if !jobs.is_empty() {
                made = attempt(&mut bench, jobs, arrivals.as_mut());
            }
        }
        shared.underway.end();
        drop(connection);
        if let Some(arrivals) = arrivals {
            arrivals.close(&mut self.pace, permits, &mut made);
        }
        let waits = (acquire, Duration::ZERO);
        statements::report(shared.database, &shared.statements, &*shared.observer, &watch, waits);
        made
    }

    fn committed(&mut self, jobs: Jobs, committed: Committed, took: Duration) {
        if let Some(sequence) = committed.sequence {
            self.keep_number(|kept| kept.acknowledge(sequence));
        }
        let metrics = &self.shared.metrics;
        self.pace.measured(jobs.len(), committed.work, committed.commit);
        self.pace.committed(jobs.len(), metrics.queued.load(Ordering::Relaxed));
        metrics.commits.fetch_add(1, Ordering::Relaxed);
        metrics.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        metrics.batch_size.record_count(jobs.len() as u64);
        metrics.commit_time.record(took);
        self.grown_pages += committed.pages;
        if self.grown_pages >= GROWN_PAGES {
            self.grown_pages = 0;
            self.shared.log_alarm.ring();
        }
        for (job, result) in jobs.into_iter().zip(committed.results) {
            match result {
                Ok(()) => job.answer(Ok(())),
                // Refused because of itself, perhaps: an earlier attempt may have been committed.
                Err(error) => answer(job, &error),
            }
        }
    }
}
