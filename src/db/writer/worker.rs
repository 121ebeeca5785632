//! The writer's thread (floor 1): takes what is queued, tries it as one batch, and repeats the whole batch where
//! that can help.
//!
//! What must stay true: jobs whose caller left or whose deadline passed are skipped before they run; a job is
//! repeated only while nothing can have been committed; no sleep outlasts shutdown or crosses a job's deadline.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::Shared;
use super::batch::{Attempt, BatchFailure, Watched, attempt};
use super::job::Job;
use crate::clock;
use crate::db::breaker::{Outcome, Permit};
use crate::db::checkpoint::BUSY_CAP;
use crate::db::database::refused;
use crate::db::error::{DbError, ErrorKind};
use crate::db::retry::{Decision, Failed, decide};
use crate::db::statements::{self, Watch};
use crate::db::verdict::{Direction, verdict};

/// Most jobs in one transaction.
const MOST_JOBS: usize = 512;
const CHECKPOINT_CAP: Duration = Duration::from_millis(900);

type Jobs = Vec<Box<dyn Job>>;

/// Runs until every sender is gone and the queue is empty, then checkpoints.
pub fn run(shared: &Shared, queue: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = queue.recv() {
        batch_of(shared, queue, first);
    }
    if shared.breaker.status().state == "ISOLATED" {
        return; // The write-ahead log is evidence.
    }
    if let Ok(connection) = shared.pool.checkout("close", clock::now() + CHECKPOINT_CAP) {
        // What isn't checkpointed now is read from the WAL at the next start.
        let _ = connection.busy_timeout(BUSY_CAP);
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

/// Runs what is queued as one batch.
pub fn batch_of(shared: &Shared, queue: &Receiver<Box<dyn Job>>, first: Box<dyn Job>) {
    let mut jobs = vec![first];
    jobs.extend(queue.try_iter().take(MOST_JOBS - 1));
    shared.metrics.queued.fetch_sub(jobs.len(), Ordering::Relaxed);
    run_batch(shared, jobs);
}

/// Answers those who can't be helped any more and keeps the rest.
fn still_wanted(shared: &Shared, jobs: Jobs) -> Jobs {
    let now = clock::now();
    let mut kept = Vec::with_capacity(jobs.len());
    for job in jobs {
        if job.is_abandoned() {
            continue;
        }
        let late = now >= job.deadline();
        if !late && job.turn().start() {
            kept.push(job);
        } else {
            let error = DbError::new(shared.database, job.operation().name, ErrorKind::NotBegun);
            job.answer(Err(error));
        }
    }
    kept
}

/// The permits of one attempt: the first carries the verdict, the others only hold half-open leases.
struct Permits {
    lead: Permit,
    others: Vec<Permit>,
}

impl Permits {
    /// Those the jobs came in with, as far as they are still valid; otherwise a new one.
    fn gather(shared: &Shared, jobs: &mut Jobs, number: &mut Option<u64>) -> Result<Self, DbError> {
        let mut held: Vec<_> = jobs
            .iter_mut()
            .filter_map(|job| job.take_permit())
            .filter(Permit::is_current)
            .collect();
        let lead = match held.pop() {
            Some(permit) => permit,
            None => {
                let number = number.unwrap_or_else(|| shared.breaker.operation_number());
                shared
                    .breaker
                    .acquire(number, None)
                    .map_err(|refusal| refused(shared.database, jobs[0].operation().name, refusal))?
            }
        };
        number.get_or_insert(lead.operation());
        Ok(Self { lead, others: held })
    }

    fn settle(self, outcome: Outcome) {
        // However many jobs it held, the attempt was one call. The others' leases go back unsettled.
        drop(self.others);
        self.lead.settle(outcome);
    }
}

fn run_batch(shared: &Shared, mut jobs: Jobs) {
    let mut attempts = 0;
    let mut number = None;
    loop {
        jobs = still_wanted(shared, jobs);
        if jobs.is_empty() {
            return;
        }
        let permits = match Permits::gather(shared, &mut jobs, &mut number) {
            Ok(permits) => permits,
            Err(error) => return answer_all(jobs, &error),
        };
        attempts += 1;
        let started = clock::now();
        match try_once(shared, &mut jobs) {
            Attempt::Committed(results) => {
                let slow = clock::since(started) >= shared.settings.operation.timeout / 2;
                permits.settle(Outcome::Success { slow });
                return committed(shared, jobs, results, clock::since(started));
            }
            Attempt::Culprit(index, error) => {
                permits.settle(Outcome::Ignored);
                // The others keep their order: who came first goes first.
                jobs.remove(index).answer(Err(error));
            }
            Attempt::Failed(failure) => {
                shared.room.failed(&failure.error, &shared.breaker);
                let outcome = verdict(Direction::Write, &failure.error, failure.lock_budget_spent);
                if let Outcome::Isolate { cause } = &outcome {
                    shared.read_breaker.isolate(cause);
                }
                permits.settle(outcome);
                jobs = match again(shared, jobs, &failure, attempts) {
                    Some(jobs) => jobs,
                    None => return,
                };
            }
        }
    }
}

fn try_once(shared: &Shared, jobs: &mut Jobs) -> Attempt {
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
    let acquire = clock::now().saturating_duration_since(now);
    let watch = Watch::enter(operation);
    let made = attempt(
        shared.database,
        &mut connection,
        jobs,
        shared.settings.operation.lock_timeout,
        &Watched {
            active: &shared.active,
            statements: &shared.statements,
        },
    );
    drop(connection);
    let waits = (acquire, Duration::ZERO);
    statements::report(shared.database, &shared.statements, &*shared.observer, &watch, waits);
    made
}

fn committed(shared: &Shared, jobs: Jobs, results: Vec<Result<(), DbError>>, took: Duration) {
    shared.metrics.commits.fetch_add(1, Ordering::Relaxed);
    shared.metrics.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    shared.metrics.batch_size.record_count(jobs.len() as u64);
    shared.metrics.commit_time.record(took);
    for (job, result) in jobs.into_iter().zip(results) {
        job.answer(result);
    }
}

/// Sleeps where repeating can help; gives back those who wait for it, having answered the others.
fn again(shared: &Shared, jobs: Jobs, failure: &BatchFailure, attempts: u32) -> Option<Jobs> {
    if failure.outcome_unknown {
        let unknown = DbError {
            kind: ErrorKind::OutcomeUnknown,
            ..failure.error.clone()
        };
        answer_all(jobs, &unknown);
        return None;
    }
    let now = clock::now();
    let random = fastrand::f64();
    let Some(class) = failure.error.class() else {
        answer_all(jobs, &failure.error);
        return None;
    };
    let failed = Failed {
        class,
        attempt: attempts,
        lock_budget_spent: failure.lock_budget_spent,
    };
    let mut delay = None;
    let mut kept = Vec::with_capacity(jobs.len());
    for job in jobs {
        match decide(&shared.settings.retry, failed, now, job.deadline(), random) {
            Decision::After(wait) => {
                delay = Some(wait);
                job.turn().pause();
                kept.push(job);
            }
            Decision::GiveUp(_) => give_up(shared, job, &failure.error),
        }
    }
    let delay = delay?;
    if let Err(refusal) = shared.breaker.peek() {
        // This very failure opened the breaker: sleeping now would only delay the refusal.
        let error = refused(shared.database, failure.error.operation, refusal);
        answer_all(kept, &error);
        return None;
    }
    if !shared.budget.lock().spend(now) {
        kept.into_iter().for_each(|job| give_up(shared, job, &failure.error));
        return None;
    }
    shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
    shared.observer.retrying(&failure.error, attempts, delay);
    if shared.stop.sleep(delay) {
        let stopping = DbError {
            kind: ErrorKind::ShuttingDown,
            ..failure.error.clone()
        };
        answer_all(kept, &stopping);
        return None;
    }
    Some(kept)
}

fn give_up(shared: &Shared, job: Box<dyn Job>, error: &DbError) {
    shared.metrics.gave_up.fetch_add(1, Ordering::Relaxed);
    let own = DbError {
        operation: job.operation().name,
        ..error.clone()
    };
    job.answer(Err(own));
}

fn answer_all(jobs: Jobs, error: &DbError) {
    for job in jobs {
        let own = DbError {
            operation: job.operation().name,
            ..error.clone()
        };
        job.answer(Err(own));
    }
}
