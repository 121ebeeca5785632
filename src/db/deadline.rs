//! The limits of the operation that runs on this thread (floor 1): its deadline, its lock budget, its cancellation.
//!
//! SQLite's busy handler is a plain function and an interrupt hits whoever holds the connection by then. So the
//! limits live in a thread-local that exists exactly as long as its [`Scope`]: both handlers read it, and the next
//! borrower of the connection can't be hit by what belonged to the last one.
//! What must stay true: a scope is entered around every use of a connection, never nested, and ends with it.
//! Called by the pool's readers, the writer and the probes.

use crate::clock;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Virtual machine steps between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN_CHECKS: i32 = 1000;
const LONGEST_NAP: Duration = Duration::from_millis(25);

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
        }));
        Self {
            _not_send: std::marker::PhantomData,
        }
    }

    /// Changes the deadline for the statements that follow; the lock budget goes on.
    pub fn set_deadline(&self, deadline: Instant) {
        CURRENT.with_borrow_mut(|c| {
            if let Some(current) = c {
                current.limits.deadline = deadline;
            }
        });
    }

    /// Whether the whole lock budget was waited for in vain.
    pub fn lock_budget_spent(&self) -> bool {
        CURRENT.with_borrow(|c| c.as_ref().is_some_and(|current| current.budget_spent))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

fn out_of_time(limits: &Limits, now: Instant) -> bool {
    now >= limits.deadline || limits.cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed))
}

/// How long the busy handler naps after `count` naps: 1 ms at first, then up to 25 ms, never past the budget.
fn nap(count: i32, left: Duration) -> Duration {
    LONGEST_NAP
        .min(Duration::from_millis(1 + u64::from(count.max(0).unsigned_abs()) / 4))
        .min(left)
}

fn busy_handler(count: i32) -> bool {
    let asked = clock::now();
    let nap = CURRENT.with_borrow_mut(|c| {
        let current = c.as_mut()?;
        let left = current.limits.lock_budget.saturating_sub(current.lock_waited);
        if left.is_zero() {
            current.budget_spent = !current.limits.lock_budget.is_zero();
            return None;
        }
        if out_of_time(&current.limits, asked) {
            return None;
        }
        Some(nap(count, left.min(current.limits.deadline - asked)))
    });
    let Some(nap) = nap else { return false };
    clock::sleep(nap);
    CURRENT.with_borrow_mut(|c| {
        if let Some(current) = c {
            current.lock_waited += clock::since(asked);
        }
    });
    true
}

/// Whether the running statement must stop; without a scope nothing is limited (opening, migrations).
fn must_stop() -> bool {
    CURRENT.with_borrow(|c| {
        c.as_ref()
            .is_some_and(|current| out_of_time(&current.limits, clock::now()))
    })
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
mod tests {
    use super::*;

    fn limits(deadline: Duration, lock_budget: Duration) -> Limits {
        Limits {
            deadline: Instant::now() + deadline,
            lock_budget,
            cancelled: None,
        }
    }

    const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    fn endless(connection: &rusqlite::Connection) -> rusqlite::Result<i64> {
        connection.query_row(FOREVER, [], |row| row.get(0))
    }

    #[test]
    fn a_runaway_query_is_stopped_and_the_next_borrower_is_not() {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        obey_scopes(&connection).expect("set");
        let scope = Scope::enter(limits(Duration::from_millis(20), Duration::ZERO));
        let error = endless(&connection).expect_err("stopped");
        assert_eq!(crate::db::classify::code_of(&error), Some(9));
        drop(scope);
        let _next = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
        let one: i64 = connection
            .query_row("SELECT 1", [], |row| row.get(0))
            .expect("unaffected");
        assert_eq!(one, 1);
    }

    #[test]
    fn a_caller_that_leaves_stops_its_query() {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        obey_scopes(&connection).expect("set");
        let cancelled = Arc::new(AtomicBool::new(true));
        let mut limits = limits(Duration::from_secs(60), Duration::ZERO);
        limits.cancelled = Some(cancelled);
        let _scope = Scope::enter(limits);
        assert!(endless(&connection).is_err());
    }

    #[test]
    fn a_lock_is_waited_for_exactly_as_long_as_the_budget_says() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        let holder = rusqlite::Connection::open(&path).expect("opens");
        holder
            .execute_batch("CREATE TABLE t(a); BEGIN IMMEDIATE")
            .expect("locks");
        let waiter = rusqlite::Connection::open(&path).expect("opens");
        obey_scopes(&waiter).expect("set");
        let scope = Scope::enter(limits(Duration::from_secs(60), Duration::from_millis(30)));
        let started = Instant::now();
        assert!(waiter.execute_batch("BEGIN IMMEDIATE").is_err());
        assert!(started.elapsed() >= Duration::from_millis(30));
        assert!(scope.lock_budget_spent());
        drop(scope);
        let scope = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
        assert!(
            waiter.execute_batch("BEGIN IMMEDIATE").is_err(),
            "zero means don't wait"
        );
        assert!(!scope.lock_budget_spent());
        drop(scope);
        holder.execute_batch("COMMIT").expect("releases");
        let _scope = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
        waiter.execute_batch("BEGIN IMMEDIATE").expect("free");
    }

    #[test]
    fn naps_are_short_and_stay_within_the_budget() {
        assert_eq!(nap(0, Duration::from_secs(1)), Duration::from_millis(1));
        assert_eq!(nap(10_000, Duration::from_secs(1)), LONGEST_NAP);
        assert_eq!(nap(10_000, Duration::from_millis(3)), Duration::from_millis(3));
    }
}
