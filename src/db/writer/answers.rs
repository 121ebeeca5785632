//! The answers of a committed batch (floor 1): given on the runtime of those who wait for them.
//!
//! A thread outside a runtime wakes its tasks one by one through a queue that everybody locks, and wakes the runtime's
//! own threads again and again, because they are quicker than it: for 64 callers that took a quarter of the time of a
//! whole batch. A task of the runtime puts the others into its own thread's queue, and the writer goes on meanwhile.
//! What must stay true: every job is answered once, whatever becomes of the task that answers it; no caller's answer
//! depends on a runtime that isn't its own, nor on one that has no threads; whose value panics costs nobody else. Called
//! by the writer's thread, after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::batch::Results;
use super::job::Job;
use super::repeat::{Jobs, answer};
use crate::db::error::DbError;
use crate::db::panic_text::panic_text;

/// So few are not worth a task.
const FEW: usize = 4;

type Answer = (Box<dyn Job>, Result<(), DbError>);

/// Answers that are given at the latest when this is dropped: a runtime that ends drops its tasks unfinished.
pub(super) struct Answers(Vec<Answer>);

impl Answers {
    /// Those of `jobs`, which were committed with these results.
    pub(super) fn of(jobs: Jobs, results: Results) -> Self {
        Self(jobs.into_iter().zip(results).collect())
    }

    /// Gives them: those for the first job's runtime there, any others here.
    pub(super) fn give(mut self) {
        let Some(runtime) = self.lead().filter(|_| self.0.len() > FEW).cloned() else {
            return;
        };
        let is_there = |(job, _): &mut Answer| job.runtime().map(Handle::id) == Some(runtime.id());
        let there = Self(self.0.extract_if(.., is_there).collect());
        runtime.spawn(async move { drop(there) });
    }

    /// A runtime of one thread runs its tasks only while that thread is in it: who waits in another one, through its
    /// handle, would wait for that.
    fn lead(&self) -> Option<&Handle> {
        let has_threads = |runtime: &&Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        self.0.first()?.0.runtime().filter(has_threads)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for (job, result) in self.0.drain(..) {
            let give = AssertUnwindSafe(|| match result {
                Ok(()) => job.answer(Ok(())),
                // Refused because of itself, perhaps: an earlier attempt may have been committed.
                Err(error) => answer(job, &error),
            });
            // The value of a caller that has left is dropped here, and that is the application's code.
            if let Err(panic) = catch_unwind(give) {
                tracing::error!(panic = panic_text(&*panic), "an answer that nobody waits for panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::mpsc;

    use rusqlite::Connection;
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::oneshot::{Receiver, channel};

    use super::*;
    use crate::clock;
    use crate::db::active::Caller;
    use crate::db::error::ErrorKind;
    use crate::db::operation::{Effect, Operation};
    use crate::db::writer::job::{Turn, TypedJob};

    type Answered<T> = Receiver<Result<T, DbError>>;

    /// A runtime with one thread, which does nothing until the sender goes.
    fn held() -> (Runtime, mpsc::Sender<()>) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let ((go, held), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
        runtime.spawn(async move {
            begins.send(()).expect("awaited");
            _ = held.recv();
        });
        begun.recv().expect("begun");
        (runtime, go)
    }

    /// Until everything that was handed to its thread before is done.
    fn go_on((runtime, go): (Runtime, mpsc::Sender<()>)) {
        drop(go);
        runtime.block_on(runtime.spawn(async {})).expect("ran");
    }

    /// A job that has run, of a caller on `runtime`.
    fn ran<T: Send + Sync + Clone + 'static>(runtime: &Runtime, value: T) -> (Answer, Answered<T>) {
        let (reply, answered) = channel();
        let caller = Caller {
            site: Location::caller(),
            origin: None,
        };
        let mut job = TypedJob {
            operation: Operation::write("test"),
            caller,
            deadline: clock::now(),
            turn: Turn::default(),
            runtime: Some(runtime.handle().clone()),
            permit: None,
            work: move |_: &Connection| Ok(Effect::Commit(value.clone())),
            carried: None,
            uncertain: false,
            value: None,
            reply,
        };
        job.run(&Connection::open_in_memory().expect("opens"));
        ((Box::new(job), Ok(())), answered)
    }

    fn batch(runtime: &Runtime, jobs: usize) -> (Vec<Answer>, Vec<Answered<usize>>) {
        (0..jobs).map(|number| ran(runtime, number)).unzip()
    }

    fn given(answered: &mut [Answered<usize>]) -> Vec<usize> {
        let values = answered.iter_mut().map(|one| one.try_recv().ok());
        values.flatten().map(|value| value.expect("committed")).collect()
    }

    #[test]
    fn a_batch_is_answered_on_its_callers_runtime_and_a_few_at_once() {
        let held = held();
        let (jobs, mut answered) = batch(&held.0, FEW);
        Answers(jobs).give();
        assert_eq!(given(&mut answered), [0, 1, 2, 3]);
        let (mut jobs, mut answered) = batch(&held.0, FEW + 1);
        jobs[1].1 = Err(DbError::new("app", "", ErrorKind::Cancelled));
        Answers(jobs).give();
        assert!(given(&mut answered).is_empty(), "the runtime hasn't run yet");
        go_on(held);
        let refused = answered.remove(1).try_recv().expect("answered");
        assert_eq!(
            refused.map_err(|error| (error.operation, error.kind)),
            Err(("test", ErrorKind::Cancelled))
        );
        assert_eq!(given(&mut answered), [0, 2, 3, 4]);
    }

    #[test]
    fn nobody_waits_for_somebody_elses_runtime() {
        let (stands_still, other) = (held(), held());
        let (mut jobs, mut waiting) = batch(&stands_still.0, FEW);
        let (others, mut answered) = batch(&other.0, 2);
        jobs.extend(others);
        Answers(jobs).give();
        assert_eq!((given(&mut answered), given(&mut waiting)), (vec![0, 1], vec![]));
        go_on(stands_still);
        go_on(other);
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_only_its_owner_can_run() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let (jobs, mut answered) = batch(&runtime, FEW + 1);
        Answers(jobs).give();
        assert_eq!(given(&mut answered), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_runtime_that_ends_first_takes_no_answer_with_it() {
        for is_over in [false, true] {
            let (runtime, go) = held();
            let (jobs, answered) = batch(&runtime, FEW + 1);
            if is_over {
                runtime.shutdown_background();
                Answers(jobs).give();
            } else {
                Answers(jobs).give();
                runtime.shutdown_background();
            }
            drop(go);
            let values = answered.into_iter().map(|one| one.blocking_recv().expect("answered"));
            let values: Vec<_> = values.map(|value| value.expect("committed")).collect();
            assert_eq!(values, [0, 1, 2, 3, 4], "over already: {is_over}");
        }
    }

    #[derive(Clone)]
    struct Sore(bool);

    impl Drop for Sore {
        fn drop(&mut self) {
            assert!(!self.0 || std::thread::panicking(), "sore");
        }
    }

    #[test]
    fn a_value_that_panics_costs_nobody_else() {
        let held = held();
        let (mut jobs, mut answered) = batch(&held.0, FEW + 1);
        let (left, waits) = ran(&held.0, Sore(true));
        drop(waits);
        jobs.insert(0, left);
        Answers(jobs).give();
        go_on(held);
        assert_eq!(given(&mut answered), [0, 1, 2, 3, 4]);
    }
}
