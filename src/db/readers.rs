//! Reading (floor 1): in place when that is quick, otherwise on a reader thread; never longer than the deadline.
//!
//! What must stay true: nothing that can wait for a lock, the pool or a long scan runs on the async worker; only the
//! admitted get a thread; a connection that saw trouble is poisoned; who leaves stops its query. `Database::read` calls it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::active::{Active, Beginning, Caller, Flag, OperationId, Running};
use super::classify::{Impact, classify_error, code_of};
use super::connection::Guarded;
use super::deadline::{Limits, Scope, lock_holder};
use super::error::{DbError, ErrorKind};
use super::limiter::{Admission, Limiter, Refused};
use super::memory::relieve;
use super::observe::Observer;
use super::operation::{Cost, Operation};
use super::panic_text::panic_text;
use super::pool::ConnectionPool;
use super::statements::{self, Statements, Watch};
use super::wait;
use crate::clock;
use crate::config::OperationSettings;
use crate::quantiles::Quantiles;

/// Longest stay of a read on an async worker; past it the read starts anew on a thread.
const IN_PLACE: Duration = Duration::from_millis(2);
/// What is not back this long after its deadline runs where the progress handler isn't asked, and is interrupted.
const LATE: Duration = Duration::from_millis(20);
/// A read that is not back this long after its deadline hangs: in the storage, or in code outside SQLite.
const HUNG_AFTER: Duration = Duration::from_secs(1);

/// The readers of one database.
pub struct Readers {
    pub(super) pool: ConnectionPool,
    pub(super) limiter: Limiter,
    pub(super) active: Arc<Active>,
    /// How long admitted operations waited for a connection.
    pub(super) connection_waits: Quantiles,
    /// How long the steps took that ran on threads.
    pub(super) steps: Quantiles,
    pub(super) turned_away: crate::rate::MinuteRate,
    pub(super) settings: OperationSettings,
    pub(super) connect_timeout: Duration,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) database: &'static str,
    pub(super) statements: Arc<Statements>,
}

/// When those who were turned away may come back.
const SHED_FOR: Duration = Duration::from_secs(1);

const INTERRUPT: i32 = 9;
/// What a read in place can't wait for and a thread can: a lock, the end of a recovery, a read that isn't short.
const WAITS: [i32; 4] = [5, INTERRUPT, 261, 262];

/// How one attempt went wrong.
pub struct ReadFailure {
    /// The error.
    pub error: DbError,
    /// Whether it waited its whole lock budget.
    pub lock_budget_spent: bool,
    /// Whether no connection became free, which is worth waiting for once more.
    pub may_wait_again: bool,
}

impl From<DbError> for ReadFailure {
    fn from(error: DbError) -> Self {
        Self {
            error,
            lock_budget_spent: false,
            may_wait_again: false,
        }
    }
}

/// Stops the operation when the future that waits for its reader thread is dropped.
struct StopOnDrop(Arc<Active>, OperationId);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abandon(self.1);
    }
}

impl Readers {
    /// Reads in place, if admission and a connection are free at once and the read is short. `None`: use a thread.
    /// `now` is when the read began: nothing has been waited for since.
    pub fn in_place<T>(
        &self,
        operation: Operation,
        caller: &Caller,
        now: Instant,
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T, ReadFailure>> {
        let _place = self.limiter.try_admit()?;
        let mut connection = self.pool.try_checkout()?;
        let beginning = self.beginning(operation, caller, now, now + IN_PLACE);
        let (running, flag) = Active::begin(&*self.active, &beginning, Some(&connection));
        let limits = Limits {
            deadline: beginning.deadline,
            lock_budget: Duration::ZERO,
            cancelled: Some(flag),
        };
        match self.run(operation, &mut connection, running.id(), limits, Duration::ZERO, query) {
            // Contention, an unfinished recovery or a read that isn't short: a thread can wait for it.
            Err(failure) if matches!(failure.error.kind, ErrorKind::Sqlite { code } if WAITS.contains(&code)) => None,
            done => Some(done),
        }
    }

    /// Reads on a thread, waiting for admission, a connection and locks until the deadline; with how long its step took.
    pub async fn on_thread<T, F>(
        self: &Arc<Self>,
        operation: Operation,
        caller: &Caller,
        deadline: Instant,
        query: Arc<F>,
    ) -> Result<(T, Duration), ReadFailure>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        let patience = deadline
            .saturating_duration_since(clock::now())
            .min(self.connect_timeout);
        let admission = match self.limiter.admit(patience).await {
            Ok(admission) => admission,
            Err(refused) => return Err(self.not_admitted(operation, refused).into()),
        };
        let (running, flag) = Active::begin(
            Arc::clone(&self.active),
            &self.beginning(operation, caller, clock::now(), deadline),
            None,
        );
        let _stop = StopOnDrop(Arc::clone(&self.active), running.id());
        let readers = Arc::clone(self);
        let mut handle = std::pin::pin!(wait::blocking(move || {
            readers.admitted(operation, deadline, (running, flag), &*query, admission)
        }));
        let failed = |kind| Err(DbError::new(self.database, operation.name, kind).into());
        // The statement deadline ends everything but I/O that hangs; then the thread keeps its place until it returns.
        let mut look_at = deadline + LATE;
        while look_at < deadline + HUNG_AFTER {
            if let Ok(done) = wait::until(look_at, &mut handle).await {
                return done.unwrap_or_else(|_| failed(ErrorKind::Panicked));
            }
            // It runs where the progress handler isn't asked. Again and again, because an interrupt between two
            // statements stops neither.
            self.active.stop_overdue(clock::now());
            look_at += LATE;
        }
        failed(ErrorKind::Stuck)
    }

    fn beginning<'a>(&self, of: Operation, caller: &'a Caller, now: Instant, deadline: Instant) -> Beginning<'a> {
        Beginning {
            operation: of.name,
            writes: false,
            snapshot: of.cost == Cost::Scan,
            caller,
            now,
            deadline,
        }
    }

    /// Stops what is past its deadline and reports connections kept for too long. Called by the watch.
    pub fn check_leaks(&self) {
        let now = clock::now();
        self.active.stop_overdue(now);
        for leak in self.active.new_leaks(now) {
            self.observer.leak_suspected(self.database, &leak);
        }
    }

    fn admitted<T>(
        &self,
        operation: Operation,
        deadline: Instant,
        (running, flag): (Running, Flag),
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
        _admission: Admission,
    ) -> Result<(T, Duration), ReadFailure> {
        let until = deadline.min(clock::now() + self.connect_timeout);
        let asked = clock::now();
        let connected = self.pool.checkout(operation.name, until).map_err(|error| ReadFailure {
            may_wait_again: matches!(error.kind, ErrorKind::PoolTimeout { .. }),
            ..error.into()
        });
        let acquire = clock::now().saturating_duration_since(asked);
        self.connection_waits.record(acquire);
        let mut connection = connected?;
        // Bound after the connection, so that it ends before: an interrupt must not hit whoever borrows it next.
        let running = running;
        running.holds(&connection);
        let limits = Limits {
            deadline,
            lock_budget: self.settings.lock_timeout,
            cancelled: Some(flag),
        };
        let began = clock::now();
        // One snapshot for all statements of the operation.
        let in_snapshot = |connection: &Connection| {
            let snapshot = connection.unchecked_transaction()?;
            let value = query(&snapshot)?;
            snapshot.finish().map(|()| value)
        };
        let query = match operation.cost {
            Cost::Point => query,
            Cost::Scan => &in_snapshot,
        };
        let done = self.run(operation, &mut connection, running.id(), limits, acquire, query);
        let took = self.note_step(began, deadline, &done);
        done.map(|value| (value, took))
    }

    /// Tells the limiter how long the step took. What runs in place has no say: its number is bounded by the cores.
    fn note_step<T>(&self, began: Instant, deadline: Instant, done: &Result<T, ReadFailure>) -> Duration {
        let now = clock::now();
        let took = now.saturating_duration_since(began);
        let ran_out = matches!(done, Err(failure) if failure.error.kind == ErrorKind::Sqlite { code: INTERRUPT });
        if ran_out && now >= deadline {
            self.limiter.step_timed_out(began);
        } else if done.is_ok() {
            self.steps.record(took);
            self.limiter.step_ended(took);
        }
        took
    }

    fn not_admitted(&self, operation: Operation, refused: Refused) -> DbError {
        self.turned_away.add(clock::now(), 1);
        let view = self.limiter.view();
        let at_ceiling = view.in_use >= self.pool.most();
        let refuse = |kind| DbError::new(self.database, operation.name, kind).with_detail(view.sentence());
        match refused {
            Refused::Shed => refuse(ErrorKind::Overloaded).with_retry_after(SHED_FOR),
            Refused::TimedOut => refuse(ErrorKind::PoolTimeout { at_ceiling }),
        }
    }

    fn run<T>(
        &self,
        operation: Operation,
        connection: &mut Guarded,
        running: OperationId,
        limits: Limits,
        acquire: Duration,
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadFailure> {
        let (in_place, mut scope) = (limits.lock_budget.is_zero(), Scope::enter(limits));
        if !in_place {
            // Who doesn't wait for locks doesn't ask who holds them either.
            scope = scope.watching(connection.holders());
        }
        let watch = Watch::enter(operation.name);
        let outcome = catch_unwind(AssertUnwindSafe(|| query(connection)));
        if let Ok(Err(error)) = &outcome
            // What ends early in place is no failure: a thread runs it again.
            && !(in_place && code_of(error).is_some_and(|code| WAITS.contains(&code)))
        {
            statements::failed(&self.statements, error);
        }
        let waits = (acquire, scope.lock_waited());
        statements::report(self.database, &self.statements, &*self.observer, &watch, waits);
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if code_of(&error) == Some(INTERRUPT) && self.active.was_cancelled(running) => {
                Err(DbError::new(self.database, operation.name, ErrorKind::Cancelled).into())
            }
            Ok(Err(error)) => {
                relieve(self.database, &error, Some(&self.limiter));
                let impact = classify_error(&error).impact;
                if matches!(impact, Impact::Failure | Impact::OpensWrite | Impact::Isolates) {
                    connection.poison();
                }
                let holder = lock_holder(&error, &scope, connection.holders(), false);
                let error = DbError::from_sqlite(self.database, operation.name, &error).with_holder(holder);
                Err(ReadFailure {
                    error,
                    lock_budget_spent: scope.lock_budget_spent(),
                    may_wait_again: false,
                })
            }
            Err(panic) => {
                connection.poison();
                let error = DbError::new(self.database, operation.name, ErrorKind::Panicked);
                Err(error.with_detail(panic_text(&*panic)).into())
            }
        }
    }
}
