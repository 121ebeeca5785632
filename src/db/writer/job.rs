//! A write job (floor 1): the closure, the caller that waits for it, and the flag that decides who may still cancel.
//!
//! What must stay true: the caller is answered exactly once; a job whose caller gave up before it ran never runs;
//! once it runs, giving up can no longer claim that nothing was done. Called by the writer and `Database::write`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::db::active::{Caller, Phase};
use crate::db::breaker::Permit;
use crate::db::error::DbError;
use crate::db::operation::{Effect, Operation};
use crate::db::panic_text::panic_text;

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;
/// It is in a batch, and somebody wants it stopped before it begins.
const UNWANTED: u8 = 3;
/// In a batch, and its statements run or have run.
const BEGUN: u8 = 4;

/// Whether a job may still be cancelled; shared by the job and its caller.
#[derive(Clone, Default)]
pub struct Turn(Arc<AtomicU8>);

impl Turn {
    fn swap(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The writer takes the job; `false` when the caller has cancelled it.
    pub fn start(&self) -> bool {
        self.swap(QUEUED, RUNNING) || self.swap(BEGUN, RUNNING) || self.0.load(Ordering::Acquire) == RUNNING
    }

    /// Its statements are about to run; `false` when somebody wanted it stopped before.
    pub fn begin(&self) -> bool {
        self.swap(RUNNING, BEGUN)
    }

    /// Somebody wants it stopped; `true` when it is certain that none of its statements will run from now on.
    pub fn take_back(&self) -> bool {
        self.swap(QUEUED, CANCELLED) || self.swap(RUNNING, UNWANTED) || self.is_taken_back()
    }

    /// Whether it will not be run.
    pub fn is_taken_back(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), CANCELLED | UNWANTED)
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            QUEUED | CANCELLED => Phase::Queued,
            RUNNING | UNWANTED => Phase::WaitingForLock,
            _ => Phase::Running,
        }
    }

    /// The attempt was rolled back: the caller may cancel again.
    pub fn pause(&self) {
        let _ = self.swap(RUNNING, QUEUED) || self.swap(BEGUN, QUEUED) || self.swap(UNWANTED, CANCELLED);
    }

    /// The caller gives up; `true` when it is certain that nothing was or will be done.
    pub fn cancel(&self) -> bool {
        self.swap(QUEUED, CANCELLED) || self.0.load(Ordering::Acquire) == CANCELLED
    }
}

/// The bytes of a job among those of all jobs, until the job is gone in whatever way.
pub struct Carried {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Carried {
    /// Adds them, unless others are there already and all together would be more than `most`.
    pub fn within(all: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Option<Self> {
        let add = |others: usize| {
            let sum = others.checked_add(bytes)?;
            (others == 0 || sum <= most).then_some(sum)
        };
        all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self {
            all: Arc::clone(all),
            bytes,
        })
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one run of a job did.
pub enum Ran {
    /// Keep its changes.
    Keep,
    /// Undo its changes; it has its answer all the same.
    Undo,
    /// SQLite refused.
    Failed(rusqlite::Error),
    /// It panicked.
    Panicked(String),
}

/// A job of any type, as the writer sees it.
pub trait Job: Send {
    /// Its operation.
    fn operation(&self) -> Operation;
    /// Who asked for it.
    fn caller(&self) -> &Caller;
    /// When its caller gives up.
    fn deadline(&self) -> Instant;
    /// Whether it may be cancelled.
    fn turn(&self) -> &Turn;
    /// Whether its caller has left.
    fn is_abandoned(&self) -> bool;
    /// The breaker's permit it came in with, once.
    fn take_permit(&mut self) -> Option<Permit>;
    /// Whether an earlier attempt may have been committed.
    fn is_uncertain(&self) -> bool;
    /// An attempt failed in a way that doesn't tell whether it was committed. From then on the caller can't be told that
    /// nothing was done.
    fn set_uncertain(&mut self);
    /// Runs it and keeps its value for the answer.
    fn run(&mut self, connection: &Connection) -> Ran;
    /// Answers the caller: with the kept value, or with the error.
    fn answer(self: Box<Self>, result: Result<(), DbError>);
}

/// A job with its types.
pub struct TypedJob<T, F> {
    pub(super) operation: Operation,
    pub(super) caller: Caller,
    pub(super) deadline: Instant,
    pub(super) turn: Turn,
    pub(super) permit: Option<Permit>,
    pub(super) work: F,
    /// `None` for the writer's own jobs.
    pub(super) carried: Option<Carried>,
    pub(super) uncertain: bool,
    pub(super) value: Option<T>,
    pub(super) reply: oneshot::Sender<Result<T, DbError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send,
{
    fn operation(&self) -> Operation {
        self.operation
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn turn(&self) -> &Turn {
        &self.turn
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    fn set_uncertain(&mut self) {
        self.uncertain = true;
    }

    fn run(&mut self, connection: &Connection) -> Ran {
        let work = &mut self.work;
        match catch_unwind(AssertUnwindSafe(|| work(connection))) {
            Ok(Ok(Effect::Commit(value))) => {
                self.value = Some(value);
                Ran::Keep
            }
            Ok(Ok(Effect::Rollback(value))) => {
                self.value = Some(value);
                Ran::Undo
            }
            Ok(Err(error)) => Ran::Failed(error),
            Err(panic) => Ran::Panicked(panic_text(&*panic)),
        }
    }

    fn answer(self: Box<Self>, result: Result<(), DbError>) {
        let answer = match (result, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), _) => Err(error),
            // The writer answers Ok only for a job that ran to its end in the committed attempt.
            (Ok(()), None) => return,
        };
        // Before the answer, so that who was answered finds the room that its bytes took.
        drop(self.carried);
        // A caller that has left since then is no failure: the commit stands.
        let _ = self.reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_together_and_one_alone_may_be_larger() {
        let all = Arc::default();
        let first = Carried::within(&all, 60, 64).expect("there is room");
        assert!(Carried::within(&all, 5, 64).is_none());
        let second = Carried::within(&all, 4, 64).expect("it fits");
        assert!(Carried::within(&all, usize::MAX, 64).is_none(), "no overflow");
        drop(first);
        assert!(Carried::within(&all, 100, 64).is_none());
        drop(second);
        let large = Carried::within(&all, 100, 64).expect("nobody else is there");
        assert!(Carried::within(&all, 1, 64).is_none());
        drop(large);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_first_decides() {
        let turn = Turn::default();
        assert!(turn.start());
        assert!(!turn.cancel(), "a running job can't be cancelled");
        turn.pause();
        assert!(turn.cancel(), "a rolled-back one can");
        assert!(!turn.start(), "and never runs again");

        let turn = Turn::default();
        assert!(
            turn.start() && turn.take_back(),
            "in a batch, and none of its statements has run"
        );
        assert!(!turn.begin() && !turn.start(), "so none will");
        turn.pause();
        assert!(turn.cancel(), "which is certain");

        let turn = Turn::default();
        assert!(turn.start() && turn.begin());
        assert!(!turn.take_back(), "its statements have run");
        assert!(
            turn.start() && turn.begin(),
            "they were rolled back for another's sake and run again"
        );
        turn.pause();
        assert!(turn.take_back() && !turn.start());
    }
}
