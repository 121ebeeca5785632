//! Who stops a running operation, and why (floor 1): an operator, its deadline, its caller's leaving, the database's end.
//!
//! What must stay true: only what somebody asked for is told as cancelled. Called by the readers, the writer, the watch.

use std::time::Instant;

use super::pending::{Key, NO_SLOT};
use super::{Active, Cancel, OperationId, Slot, Stop};

impl Active {
    /// Whether somebody asked for a running operation to be stopped, rather than its time being over or its caller gone.
    pub fn was_cancelled(&self, id: OperationId) -> bool {
        let mut table = self.table.lock();
        let entry = table.slot(id).and_then(|slot| slot.entry.as_ref());
        entry.is_some_and(|entry| entry.stop == Some(Stop::Cancelled))
    }

    /// Stops an operation that somebody wants stopped.
    pub fn cancel(&self, id: OperationId) -> Cancel {
        match id.slot {
            NO_SLOT => self.cancel_pending(id.generation),
            _ if self.stop(id, Stop::Cancelled) => Cancel::Asked,
            _ => Cancel::Over,
        }
    }

    /// Stops the statements of a write; `false` when they don't run now.
    pub(super) fn stop_run(&self, key: Key) -> bool {
        let mut table = self.table.lock();
        let is_it = |slot: &&mut Slot| {
            slot.entry
                .as_ref()
                .is_some_and(|entry| entry.writes && entry.key() == key)
        };
        let found = table.slots.iter_mut().find(is_it);
        found.is_some_and(|slot| {
            slot.stop(Stop::Cancelled);
            true
        })
    }

    /// Stops an operation whose caller has left.
    pub fn abandon(&self, id: OperationId) {
        self.stop(id, Stop::Unneeded);
    }

    fn stop(&self, id: OperationId, why: Stop) -> bool {
        let mut table = self.table.lock();
        table.slot(id).is_some_and(|slot| {
            slot.stop(why);
            true
        })
    }

    /// Stops what should have ended by `now`.
    pub fn stop_overdue(&self, now: Instant) {
        for slot in &mut self.table.lock().slots {
            if slot.entry.as_ref().is_some_and(|entry| now >= entry.deadline) {
                slot.stop(Stop::Unneeded);
            }
        }
    }

    /// Stops every read: the database is being closed.
    pub fn stop_reads(&self) {
        let mut table = self.table.lock();
        let reads = |slot: &&mut Slot| slot.entry.as_ref().is_some_and(|entry| !entry.writes);
        table
            .slots
            .iter_mut()
            .filter(reads)
            .for_each(|slot| slot.stop(Stop::Cancelled));
    }
}
