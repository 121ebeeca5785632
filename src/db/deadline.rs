//! The limits of the operation that runs on this thread (floor 1): its deadline, its lock budget, its cancellation.
//!
//! SQLite's busy handler is a plain function and an interrupt hits whoever holds the connection by then. So the
//! limits live in a thread-local that exists exactly as long as its [`Scope`]: both handlers read it, and the next
//! borrower of the connection can't be hit by what belonged to the last one.
//! What must stay true: a scope is entered around every use of a connection, never nested, and ends with it.
//! Called by the pool's readers, the writer and the probes.

use super::classify::code_of;
use super::holders::{AT_THE_END, Holders, LockHolder, OFTEN};
use super::verdict::BUSY_RECOVERY;
use crate::clock;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Virtual machine steps between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN_CHECKS: i32 = 1000;
/// Between two tries for a lock, at first and later.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(5);
/// A wait this short is everyday contention: tried often, and nobody asks who is in the way.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// Limits of one attempt.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Statements are interrupted from here on.
    pub deadline: Instant,
    /// Longest wait for locks; zero means don't wait.
    pub lock_budget: Duration,
    /// Raised when the caller has left.
    pub cancelled: Option<Arc<AtomicBool>>,
}

struct Current {
    limits: Limits,
    lock_waited: Duration,
    budget_spent: bool,
    /// It stopped waiting: for its budget, its deadline, or because its caller left.
    gave_up: bool,
    /// A statement was stopped by the progress handler.
    stopped: bool,
    holders: Option<Arc<Holders>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The limits are in force on this thread while this lives.
#[must_use]
pub struct Scope {
    // Bound to the thread whose limits it set.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Scope {
    /// Puts `limits` in force.
    pub fn enter(limits: Limits) -> Self {
        CURRENT.set(Some(Current {
            limits,
            lock_waited: Duration::ZERO,
            budget_spent: false,
            gave_up: false,
            stopped: false,
            holders: None,
        }));
        Self {
            _not_send: std::marker::PhantomData,
        }
    }

    /// While a lock is waited for, it is noted here who holds it.
    pub fn watching(self, holders: &Arc<Holders>) -> Self {
        CURRENT.with_borrow_mut(|c| {
            if let Some(current) = c {
                current.holders = Some(Arc::clone(holders));
            }
        });
        self
    }

    /// Who was in the way of writing (or reading) when the lock budget was spent, where that could be seen.
    pub fn lock_holder(&self, writing: bool) -> Option<LockHolder> {
        CURRENT.with_borrow(|c| {
            let current = c.as_ref().filter(|current| current.budget_spent)?;
            current.holders.as_ref()?.in_the_way(writing)
        })
    }

    /// Changes the deadline for the statements that follow; the lock budget goes on.
    pub fn set_deadline(&self, deadline: Instant) {
        CURRENT.with_borrow_mut(|c| {
            if let Some(current) = c {
                current.limits.deadline = deadline;
            }
        });
    }

    /// Changes what stops the statements that follow, beside the deadline.
    pub fn set_cancelled(&self, cancelled: Option<Arc<AtomicBool>>) {
        CURRENT.with_borrow_mut(|c| {
            if let Some(current) = c {
                current.limits.cancelled = cancelled;
            }
        });
    }

    /// How long locks were waited for.
    pub fn lock_waited(&self) -> Duration {
        CURRENT.with_borrow(|c| c.as_ref().map_or(Duration::ZERO, |current| current.lock_waited))
    }

    /// Whether the whole lock budget was waited for in vain.
    pub fn lock_budget_spent(&self) -> bool {
        CURRENT.with_borrow(|c| c.as_ref().is_some_and(|current| current.budget_spent))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let ended = CURRENT.take();
        if let Some(current) = ended.filter(|c| c.lock_waited >= SHORT_WAIT && !c.gave_up)
            && let Some(holders) = current.holders
        {
            holders.was_free();
        }
    }
}

fn out_of_time(limits: &Limits, now: Instant) -> bool {
    now >= limits.deadline || limits.cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed))
}

/// How long the busy handler naps after having waited for `waited`; `random` is in [0, 1).
///
/// POSIX locks have no queue: whoever asks while the lock is free gets it. Against a process that takes it again at
/// once, what counts is how often one asks; SQLite's own handler soon asks ten times a second. Waits of 300
/// transactions, against another process that holds the lock for 5 ms and leaves it for 0.2 ms, on a busy machine with
/// two cores (p50, p99 and longest, in ms):
///
/// | naps | p50 | p99 | longest |
/// |---|---|---|---|
/// | these | 4 | 65 | 99 |
/// | 1 ms, growing to 25 ms | 15 | 215 | 221 |
/// | SQLite's (1 ms, growing to 100 ms) | 89 | 2740 | 3133 |
///
/// A try costs some ten microseconds: a hundredth of a core at first, a five-hundredth later. The jitter keeps two
/// waiters, or a waiter and a holder with a period, from meeting at every try.
fn nap(waited: Duration, random: f64) -> Duration {
    let mean = if waited < SHORT_WAIT {
        SHORTEST_NAP
    } else {
        (waited / 50).clamp(SHORTEST_NAP, LONGEST_NAP)
    };
    mean.mul_f64(0.5 + random)
}

/// Called by SQLite between two tries for a lock. BUSY is also what EINTR, ENOLCK and EACCES become, so it may be that
/// nobody holds anything; the budget bounds that as well.
fn busy_handler(_tries: i32) -> bool {
    let asked = clock::now();
    let Some(nap) = CURRENT.with_borrow_mut(|c| c.as_mut()?.next_nap(asked)) else {
        return false;
    };
    clock::sleep(nap);
    CURRENT.with_borrow_mut(|c| {
        if let Some(current) = c {
            current.lock_waited += clock::since(asked);
        }
    });
    true
}

impl Current {
    /// The nap before the next try, or `None` to give up.
    fn next_nap(&mut self, now: Instant) -> Option<Duration> {
        let left = self.limits.lock_budget.saturating_sub(self.lock_waited);
        self.budget_spent = left.is_zero() && !self.limits.lock_budget.is_zero();
        self.gave_up = left.is_zero() || out_of_time(&self.limits, now);
        if let Some(holders) = &self.holders {
            match () {
                () if self.budget_spent => holders.look(AT_THE_END),
                () if self.lock_waited >= SHORT_WAIT => holders.look(OFTEN),
                () => {}
            }
        }
        let left = left.min(self.limits.deadline.saturating_duration_since(now));
        (!self.gave_up).then(|| nap(self.lock_waited, fastrand::f64()).min(left))
    }
}

/// Whether the running statement must stop; without a scope nothing is limited (opening, migrations).
fn must_stop() -> bool {
    CURRENT.with_borrow_mut(|c| {
        c.as_mut().is_some_and(|current| {
            current.stopped = out_of_time(&current.limits, clock::now());
            current.stopped
        })
    })
}

/// Whether a statement of this thread was stopped and will begin anew elsewhere: who doesn't wait for locks runs in place,
/// and what is stopped there runs again on a thread. `interrupted`: another thread told SQLite to stop.
pub fn stopped_to_run_again(interrupted: bool) -> bool {
    CURRENT.with_borrow(|c| {
        c.as_ref()
            .is_some_and(|current| current.limits.lock_budget.is_zero() && (current.stopped || interrupted))
    })
}

/// Who kept an attempt to write (or read) that failed with `error` from its lock, where it waited its whole budget or
/// the log is being recovered.
pub fn lock_holder(error: &rusqlite::Error, scope: &Scope, holders: &Holders, writing: bool) -> Option<LockHolder> {
    if code_of(error) == Some(BUSY_RECOVERY) {
        return Some(holders.recovering());
    }
    scope.lock_holder(writing)
}

/// Makes a connection obey the scopes of the threads that use it.
///
/// # Errors
/// SQLite's, when a handler can't be set.
pub fn obey_scopes(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(busy_handler))?;
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(must_stop))
}

/// Runs what stands for another thread: the limits in force here are set aside meanwhile.
#[cfg(test)]
pub fn aside<T>(other: impl FnOnce() -> T) -> T {
    let current = CURRENT.take();
    let done = other();
    CURRENT.set(current);
    done
}

#[cfg(test)]
mod tests;
