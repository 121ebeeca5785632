//! What becomes of a batch that failed (floor 1): who is answered, who waits for the next attempt.
//!
//! What must stay true: after an unknown outcome a job is repeated only where its operation says that this is safe, and
//! its caller is never told that nothing was done; no sleep outlasts shutdown or crosses a job's deadline; a breaker
//! that refuses is not waited for, but by those who would have to be told "unknown". Called by the writer's thread.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;
use super::batch::BatchFailure;
use super::job::Job;
use crate::clock;
use crate::db::breaker::{BreakerStatus, Refusal};
use crate::db::classify::Retry;
use crate::db::database::refused;
use crate::db::error::{DbError, ErrorKind};
use crate::db::operation::Repeat;
use crate::db::retry::{Decision, Failed, GiveUp, RECOVERY, decide};

/// Between two looks at a breaker that is waited for.
const LOOK: Duration = Duration::from_millis(50);

pub(super) type Jobs = Vec<Box<dyn Job>>;

/// Sleeps where repeating can help; gives back those who wait for it, having answered the others.
pub(super) fn again(shared: &Shared, jobs: Jobs, failure: &BatchFailure, attempts: u32) -> Option<Jobs> {
    let (kept, delay) = choose(shared, jobs, failure, attempts);
    let delay = delay?;
    let kept = match shared.breaker.peek() {
        Ok(()) => kept,
        // This very failure opened the breaker: sleeping now would only delay the refusal.
        Err(refusal) => wait_for_breaker(shared, kept, failure, refusal)?,
    };
    if !shared.budget.spend(clock::now()) {
        let error = &failure.error;
        kept.into_iter()
            .for_each(|job| give_up(shared, job, error, GiveUp::Budget));
        return None;
    }
    shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
    shared.observer.retrying(&failure.error, attempts, delay);
    if shared.stop.sleep(delay) {
        answer_all(kept, &of_kind(&failure.error, ErrorKind::ShuttingDown));
        return None;
    }
    Some(kept)
}

/// Answers those for whom repeating can't help, or isn't safe; the others, and how long to wait.
fn choose(shared: &Shared, jobs: Jobs, failure: &BatchFailure, attempts: u32) -> (Jobs, Option<Duration>) {
    let (now, random) = (clock::now(), fastrand::f64());
    let (mut kept, mut delay) = (Jobs::with_capacity(jobs.len()), None);
    for mut job in jobs {
        let is_repeatable = job.operation().repeat != Repeat::Unsafe;
        if failure.outcome_unknown {
            job.set_uncertain();
            if !is_repeatable {
                answer(job, &failure.error);
                continue;
            }
        }
        let failed = Failed {
            // Whatever the code: where it isn't known what became of it, only another attempt can tell.
            retry: if failure.outcome_unknown {
                Retry::OnlyIdempotent
            } else {
                failure.error.retry()
            },
            is_repeatable,
            awaits_recovery: failure.error.class().is_some_and(|class| class.name == RECOVERY),
            attempt: attempts,
            lock_budget_spent: failure.lock_budget_spent,
        };
        match decide(&shared.settings.retry, failed, now, job.deadline(), random) {
            Decision::After(wait) => {
                delay = Some(wait);
                // The caller of an uncertain job can't cancel it: that would claim that nothing was done.
                if !job.is_uncertain() {
                    job.turn().pause();
                }
                kept.push(job);
            }
            Decision::GiveUp(why) => give_up(shared, job, &failure.error, why),
        }
    }
    (kept, delay)
}

/// Refuses those who can be told that nothing was done. The others wait until the file is verified or the breaker lets a
/// probe through, as far as their deadlines allow.
fn wait_for_breaker(shared: &Shared, jobs: Jobs, failure: &BatchFailure, refusal: Refusal) -> Option<Jobs> {
    let (mut waiting, certain): (Jobs, Jobs) = jobs.into_iter().partition(|job| job.is_uncertain());
    answer_all(certain, &refused(shared.database, failure.error.operation, refusal));
    while !waiting.is_empty() && !lets_try(&shared.breaker.status()) {
        if shared.stop.sleep(LOOK) {
            answer_all(waiting, &failure.error);
            return None;
        }
        let now = clock::now();
        let (late, left): (Jobs, Jobs) = waiting.into_iter().partition(|job| now >= job.deadline());
        let error = &failure.error;
        late.into_iter()
            .for_each(|job| give_up(shared, job, error, GiveUp::Deadline));
        waiting = left;
    }
    (!waiting.is_empty()).then_some(waiting)
}

fn lets_try(breaker: &BreakerStatus) -> bool {
    match breaker.state {
        "ISOLATED" | "FORCED_OPEN" => false,
        "OPEN" => breaker.retry_after.is_none_or(|after| after.is_zero()),
        _ => true,
    }
}

fn of_kind(error: &DbError, kind: ErrorKind) -> DbError {
    DbError { kind, ..error.clone() }
}

fn give_up(shared: &Shared, job: Box<dyn Job>, error: &DbError, why: GiveUp) {
    shared.metrics.gave_up.fetch_add(1, Ordering::Relaxed);
    answer(job, &error.clone().given_up(why));
}

/// Answers with an error under the job's own name: with "unknown" where an earlier attempt may have been committed.
pub(super) fn answer(job: Box<dyn Job>, error: &DbError) {
    let mut own = error.clone();
    own.operation = job.operation().name;
    if job.is_uncertain() {
        own.kind = ErrorKind::OutcomeUnknown;
    }
    job.answer(Err(own));
}

/// [`answer`]s them all.
pub(super) fn answer_all(jobs: Jobs, error: &DbError) {
    jobs.into_iter().for_each(|job| answer(job, error));
}
