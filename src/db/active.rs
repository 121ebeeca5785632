//! What runs now (floor 1): an entry for each operation that was admitted, so that it can be seen, stopped and, when it
//! keeps its connection too long, reported.
//!
//! What must stay true: an entry ends with its [`Running`]; a place is used again under another generation, so that
//! whoever names an operation that is over stops nobody; a connection is interrupted only under the table's lock and
//! only while its operation has it, so that an interrupt can't meet the next borrower; beginning and ending allocate
//! nothing. Writes that wait are shown by `pending`. Called by the readers and the writer.
//!
//! A stop raises the flag that the progress handler looks at and interrupts the connection as well, because some of
//! SQLite's loops (a bare `count(*)`) run without a step and so without the handler. SQLite drops an interrupt that
//! finds no statement running: <https://sqlite.org/c3ref/interrupt.html>.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};

use crate::clock;

mod pending;
mod shown;
mod stopping;
pub use pending::Job;
pub use shown::{ActiveOperation, Caller, Cancel, OperationId, Phase};

/// A connection held this long is suspected to be leaked.
const LEAK_AFTER: Duration = Duration::from_secs(5);
/// Or this long after the end of the time that its operation was given, where that is sooner.
const PAST_ITS_TIME: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Nobody waits for it any more, or its time is over.
    Unneeded,
    /// Somebody asked for it.
    Cancelled,
}

struct Entry {
    operation: &'static str,
    writes: bool,
    snapshot: bool,
    caller: Caller,
    started: Instant,
    deadline: Instant,
    holding: Option<(Instant, InterruptHandle)>,
    stop: Option<Stop>,
    leak_suspected: bool,
}

struct Slot {
    generation: u64,
    flag: Flag,
    entry: Option<Entry>,
}

struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// The running operations of one database.
pub struct Active {
    table: Mutex<Table>,
    leaks: AtomicU64,
    pending: pending::Pending,
}

/// What an operation is when it begins.
pub struct Beginning<'a> {
    /// Its name.
    pub operation: &'static str,
    /// Whether it writes.
    pub writes: bool,
    /// Whether it holds one snapshot.
    pub snapshot: bool,
    /// Who asked.
    pub caller: &'a Caller,
    /// When.
    pub now: Instant,
    /// When it must be over.
    pub deadline: Instant,
}

/// The entry of a running operation; dropping it ends the entry. It owns the table, to travel to a thread, or borrows
/// it, which costs less.
pub struct Running<A: Borrow<Active> = Arc<Active>> {
    active: A,
    id: OperationId,
}

/// Raised when an operation must stop; valid as long as its [`Running`].
pub type Flag = Arc<AtomicBool>;

impl Active {
    /// For at most `places` operations at once to begin with; more are made when they are needed.
    pub fn new(places: u32) -> Arc<Self> {
        let mut table = Table {
            slots: Vec::new(),
            free: Vec::new(),
        };
        (0..places).for_each(|_| table.grow());
        Arc::new(Self {
            table: Mutex::new(table),
            leaks: AtomicU64::new(0),
            pending: pending::Pending::default(),
        })
    }

    /// Begins an entry in `active`; with `connection` it holds that one from the start.
    pub fn begin<A: Borrow<Self>>(
        active: A,
        beginning: &Beginning<'_>,
        connection: Option<&Connection>,
    ) -> (Running<A>, Flag) {
        let mut entry = Entry {
            operation: beginning.operation,
            writes: beginning.writes,
            snapshot: beginning.snapshot,
            caller: beginning.caller.clone(),
            started: beginning.now,
            deadline: beginning.deadline,
            holding: None,
            stop: None,
            leak_suspected: false,
        };
        entry.holding = connection.map(|connection| (beginning.now, connection.get_interrupt_handle()));
        let mut table = active.borrow().table.lock();
        if table.free.is_empty() {
            table.grow();
        }
        let number = table.free.pop().unwrap_or_default();
        let slot = &mut table.slots[number as usize];
        slot.generation += 1;
        slot.flag.store(false, Ordering::Relaxed);
        slot.entry = Some(entry);
        let id = OperationId {
            slot: number,
            generation: slot.generation,
        };
        let flag = Arc::clone(&slot.flag);
        drop(table);
        (Running { active, id }, flag)
    }

    /// What runs and which writes wait, the oldest first.
    pub fn list(&self, now: Instant) -> Vec<ActiveOperation> {
        let table = self.table.lock();
        let shown = |(number, slot): (usize, &Slot)| {
            let entry = slot.entry.as_ref()?;
            Some((entry.key(), entry.shown(number, slot.generation, now)))
        };
        let mut running: Vec<_> = table.slots.iter().enumerate().filter_map(shown).collect();
        drop(table);
        let mut all = self.pending_among(&mut running, now);
        all.extend(running.into_iter().map(|(_, operation)| operation));
        all.sort_by_key(|operation| std::cmp::Reverse(operation.age));
        all
    }

    /// Those that have become suspicious since the last look: each is told of once.
    pub fn new_leaks(&self, now: Instant) -> Vec<ActiveOperation> {
        let mut found = Vec::new();
        for (number, slot) in self.table.lock().slots.iter_mut().enumerate() {
            let generation = slot.generation;
            if let Some(entry) = slot.entry.as_mut().filter(|entry| entry.is_leaking(now)) {
                entry.leak_suspected = true;
                found.push(entry.shown(number, generation, now));
            }
        }
        self.leaks.fetch_add(found.len() as u64, Ordering::Relaxed);
        found
    }

    /// Leaks suspected since the start.
    pub fn leaks(&self) -> u64 {
        self.leaks.load(Ordering::Relaxed)
    }
}

impl Table {
    fn grow(&mut self) {
        self.free.push(self.slots.len() as u32);
        self.slots.push(Slot {
            generation: 0,
            flag: Arc::default(),
            entry: None,
        });
    }

    /// The place of an operation that still runs.
    fn slot(&mut self, id: OperationId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        (slot.generation == id.generation && slot.entry.is_some()).then_some(slot)
    }
}

impl Slot {
    fn stop(&mut self, why: Stop) {
        let Some(entry) = &mut self.entry else { return };
        self.flag.store(true, Ordering::Relaxed);
        if entry.stop != Some(Stop::Cancelled) {
            entry.stop = Some(why);
        }
        if let Some((_, connection)) = &entry.holding {
            connection.interrupt();
        }
    }
}

impl Entry {
    fn is_leaking(&self, now: Instant) -> bool {
        let time = self.deadline.saturating_duration_since(self.started) + PAST_ITS_TIME;
        let held = |(since, _): &(Instant, InterruptHandle)| now.saturating_duration_since(*since);
        !self.leak_suspected
            && self
                .holding
                .as_ref()
                .map(held)
                .is_some_and(|held| held >= LEAK_AFTER.min(time))
    }

    fn key(&self) -> pending::Key {
        (self.caller.site, self.deadline)
    }

    fn shown(&self, number: usize, generation: u64, now: Instant) -> ActiveOperation {
        ActiveOperation {
            id: OperationId {
                slot: number as u32,
                generation,
            },
            operation: self.operation,
            writes: self.writes,
            phase: Phase::Running,
            call_site: self.caller.call_site(),
            age: now.saturating_duration_since(self.started),
            held: self
                .holding
                .as_ref()
                .map(|(since, _)| now.saturating_duration_since(*since)),
            snapshot: self.snapshot,
            stopping: self.stop.is_some(),
            leak_suspected: self.leak_suspected,
            request_id: self.caller.request_id(),
        }
    }
}

impl<A: Borrow<Active>> Running<A> {
    /// It has got its connection.
    pub fn holds(&self, connection: &Connection) {
        let handle = connection.get_interrupt_handle();
        let mut table = self.active.borrow().table.lock();
        if let Some(entry) = table.slot(self.id).and_then(|slot| slot.entry.as_mut()) {
            entry.holding = Some((clock::now(), handle));
        }
    }

    /// Its name.
    pub fn id(&self) -> OperationId {
        self.id
    }
}

impl<A: Borrow<Active>> Drop for Running<A> {
    fn drop(&mut self) {
        let mut table = self.active.borrow().table.lock();
        let ended = table.slot(self.id).and_then(|slot| slot.entry.take());
        table.free.push(self.id.slot);
        drop(table);
        // What it held is let go outside the lock.
        drop(ended);
    }
}

#[cfg(test)]
mod tests;
