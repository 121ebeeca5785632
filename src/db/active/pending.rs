//! Writes from their queue to their answer (floor 1): seen while they wait, and taken back where that is certain.
//!
//! What must stay true: whether a write may still be taken back is its [`Turn`]'s to say, in one step with the writer, so
//! that one which is told as stopped has done nothing; an entry ends with its caller's wait. Called by
//! `Database::write`, and through [`Active`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{Active, ActiveOperation, Caller, Cancel, OperationId, Phase};
use crate::db::writer::Turn;

/// In the place of a slot's number, for what has none.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// A write that was handed to the writer.
pub struct Job {
    /// Its name.
    pub operation: &'static str,
    /// Who asked.
    pub caller: Caller,
    /// When.
    pub started: Instant,
    /// When its caller gives up.
    pub deadline: Instant,
    /// How far it is.
    pub turn: Turn,
}

/// Where in the program and until when: what the entry of its run has in common with it.
pub(super) type Key = (*const std::panic::Location<'static>, Instant);

#[derive(Default)]
pub(super) struct Pending(Mutex<(u64, HashMap<u64, Job>)>);

/// The entry of a waiting caller.
pub struct Awaited {
    active: Arc<Active>,
    number: u64,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let ended = self.active.pending.0.lock().1.remove(&self.number);
        // What it held is let go outside the lock.
        drop(ended);
    }
}

impl Active {
    /// Shows a write from now on until its caller no longer waits.
    pub fn awaits(self: &Arc<Self>, job: Job) -> Awaited {
        let mut pending = self.pending.0.lock();
        pending.0 += 1;
        let number = pending.0;
        pending.1.insert(number, job);
        Awaited {
            active: Arc::clone(self),
            number,
        }
    }

    /// The writes, each joined with the entry of its run where it has one in `running`.
    pub(super) fn pending_among(
        &self,
        running: &mut Vec<(Key, ActiveOperation)>,
        now: Instant,
    ) -> Vec<ActiveOperation> {
        let pending = self.pending.0.lock();
        let shown = |(number, job): (&u64, &Job)| {
            let twin = running.iter().position(|(key, run)| run.writes && *key == job.key());
            let run = twin.map(|at| running.swap_remove(at).1);
            job.shown(*number, run, now)
        };
        pending.1.iter().map(shown).collect()
    }

    pub(super) fn cancel_pending(&self, number: u64) -> Cancel {
        let key = match self.pending.0.lock().1.get(&number) {
            None => return Cancel::Over,
            Some(job) if job.turn.take_back() => return Cancel::Asked,
            Some(job) => job.key(),
        };
        if self.stop_run(key) {
            Cancel::Asked
        } else {
            Cancel::TooLate
        }
    }
}

impl Job {
    fn key(&self) -> Key {
        (self.caller.site, self.deadline)
    }

    fn shown(&self, number: u64, run: Option<ActiveOperation>, now: Instant) -> ActiveOperation {
        let id = OperationId {
            slot: NO_SLOT,
            generation: number,
        };
        let age = now.saturating_duration_since(self.started);
        if let Some(run) = run {
            return ActiveOperation { id, age, ..run };
        }
        ActiveOperation {
            id,
            operation: self.operation,
            writes: true,
            phase: self.turn.phase(),
            call_site: self.caller.call_site(),
            age,
            held: None,
            snapshot: false,
            stopping: self.turn.is_taken_back(),
            leak_suspected: false,
            request_id: self.caller.request_id(),
        }
    }
}

impl ActiveOperation {
    /// Whether it can still be stopped: a write whose statements have run can't, its commit is carried to its end.
    pub fn is_cancellable(&self) -> bool {
        let ends_by_itself = self.writes && self.phase == Phase::Running && self.held.is_none();
        !self.stopping && !ends_by_itself
    }
}
