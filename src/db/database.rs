//! The database handle (floor 1): the only way in and out of an SQLite file.
//!
//! Order around an operation: deadline → admission → retry → breaker → pool → statement deadline. What must stay
//! true: every call ends by its deadline (plus, for a commit already begun, [`COMMIT_GRACE`]); a permit is settled
//! for each attempt; there is one retry layer. Anyone above floor 1 may call it; it knows nothing of them.

mod limits;
mod reading;
mod writing;

#[cfg(test)]
mod tests;

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::active::{Active, ActiveOperation, Caller, OperationId};
use super::adaptive::Adaptive;
use super::breaker::{BorrowedPermit, Breaker, KeptStates, Permit, Refusal};
use super::checkpoint::{Keeper, Parts};
use super::connection::{Epoch, Manager, Role};
use super::error::{DbError, ErrorKind};
use super::health::Health;
use super::holders::Holders;
use super::identity::identity;
use super::limiter::Limiter;
use super::log::WriteAheadLog;
use super::migrations::{Migration, prepare};
use super::observe::Observer;
use super::open_error::OpenError;
use super::operation::{Operation, Origin};
use super::pool::ConnectionPool;
use super::readers::Readers;
use super::reserve::Reserve;
use super::retry::Budget;
use super::room::Room;
use super::statements::Statements;
use super::writer::{Shared, Stop, Writer};
use crate::clock::{self, SharedClock};
use crate::config::{DatabaseSettings, PoolSettings};
use crate::quantiles::Quantiles;

use limits::first_limit;

pub use limits::PoolChange;
pub use writing::COMMIT_GRACE;

/// What one database is.
#[derive(Debug, Clone)]
pub struct Options {
    /// `app` or `events`: the prefix of its breakers' names.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// SQLite's application_id of the file.
    pub application_id: i32,
    /// The schema.
    pub migrations: &'static [Migration],
    /// Limits.
    pub settings: DatabaseSettings,
}

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) clock: SharedClock,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) readers: Arc<Readers>,
    pub(super) writer: Writer,
    pub(super) read_breaker: Arc<Breaker>,
    pub(super) write_breaker: Arc<Breaker>,
    pub(super) kept: KeptStates,
    pub(super) budget: Arc<Mutex<Budget>>,
    pub(super) health: Health,
    pub(super) keeper: Keeper,
    pub(super) statements: Arc<Statements>,
}

/// A handle; clones share the database.
#[derive(Clone)]
pub struct Database {
    pub(super) inner: Arc<Inner>,
    origin: Option<Arc<Origin>>,
}

/// The error of a call that the breaker refused.
pub(super) fn refused(database: &'static str, operation: &'static str, refusal: Refusal) -> DbError {
    let Refusal {
        retry_after,
        cause,
        isolated,
    } = refusal;
    let cause_text = cause.text;
    let kind = if isolated {
        ErrorKind::Isolated { cause: cause_text }
    } else {
        ErrorKind::CircuitOpen {
            cause: cause_text,
            told: cause.told,
        }
    };
    DbError {
        retry_after,
        ..DbError::new(database, operation, kind)
    }
}

impl Database {
    /// Opens, creates or migrates the file and starts its writer. Blocking.
    ///
    /// # Errors
    /// [`OpenError`]: not ours, too new, locked, not allowed. A file that isn't ours is left untouched.
    pub fn open(mut options: Options, clock: SharedClock, observer: Arc<dyn Observer>) -> Result<Self, OpenError> {
        // A lock budget that doesn't fit into its operation could never be spent, and the breaker would never hear of it.
        let shortest = options.settings.operation.timeout.min(options.settings.health.timeout);
        let lock_timeout = &mut options.settings.operation.lock_timeout;
        *lock_timeout = (*lock_timeout).min(shortest * 3 / 4);
        for step in prepare(&options.path, options.application_id, options.migrations)? {
            tracing::info!(database = options.name, step, "schema migrated");
        }
        let io = |source| OpenError::Io {
            path: options.path.display().to_string(),
            source,
        };
        let opened = identity(&options.path).map_err(io)?;
        let settings = &options.settings;
        let log = WriteAheadLog::open(&options.path).map_err(|source| OpenError::Sqlite {
            path: options.path.display().to_string(),
            what: "open its write-ahead log".to_owned(),
            source,
        })?;
        let epoch = Epoch::default();
        let holders = Arc::new(Holders::new(&options.path));
        let statements = Arc::new(Statements::new(settings.operation.slow_query, clock.wall()));
        let manager = |role| {
            let ends = (settings.pool.max_lifetime, Arc::clone(&epoch));
            let (holders, statements) = (Arc::clone(&holders), Arc::clone(&statements));
            Manager::new(&options.path, opened, role, ends, holders, statements)
        };
        let breaker = |direction: &str| {
            let name = format!("{}.{direction}", options.name);
            Breaker::new(
                name,
                settings.breaker.clone(),
                Arc::clone(&clock),
                Arc::clone(&observer),
            )
        };
        let (read_breaker, write_breaker) = (breaker("read"), breaker("write"));
        let kept = KeptStates::restore(&options.path, &[&read_breaker, &write_breaker]);
        let budget = Arc::new(Mutex::new(Budget::new(clock::now())));
        // Each reader and the writer's job have a place.
        let active = Active::new(settings.pool.max + 1);
        let readers = Arc::new(Readers {
            pool: ConnectionPool::new(manager(Role::Reader), &settings.pool, options.name),
            limiter: Limiter::new(Adaptive::new(first_limit(), settings.pool.min, settings.pool.max)),
            connection_waits: Quantiles::new(),
            steps: Quantiles::new(),
            active: Arc::clone(&active),
            settings: settings.operation.clone(),
            connect_timeout: settings.pool.connect_timeout,
            observer: Arc::clone(&observer),
            database: options.name,
            statements: Arc::clone(&statements),
        });
        let single = PoolSettings {
            max: 1,
            min: 1,
            ..settings.pool.clone()
        };
        let writer = Writer::start(Arc::new(Shared {
            database: options.name,
            settings: settings.clone(),
            breaker: Arc::clone(&write_breaker),
            read_breaker: Arc::clone(&read_breaker),
            observer: Arc::clone(&observer),
            pool: ConnectionPool::new(manager(Role::Writer), &single, options.name),
            budget: Arc::clone(&budget),
            active: Arc::clone(&active),
            metrics: super::writer::Metrics::default(),
            stop: Stop::default(),
            room: Room::with(Reserve::beside(&options.path)),
            statements: Arc::clone(&statements),
        }))
        .map_err(io)?;
        let keeper = Keeper::start(Parts {
            database: options.name,
            path: options.path.clone(),
            pool: ConnectionPool::new(manager(Role::Reader), &PoolSettings { min: 0, ..single }, options.name),
            breakers: [Arc::clone(&read_breaker), Arc::clone(&write_breaker)],
            observer: Arc::clone(&observer),
            holders: Arc::clone(&holders),
            active,
            clock: Arc::clone(&clock),
        })
        .map_err(io)?;
        // The pools connect behind the scenes; the first callers shall not wait for that. A failure is for them to meet.
        let until = clock::now() + settings.pool.connect_timeout;
        for pool in [&readers.pool, &writer.shared.pool] {
            drop(pool.checkout("open", until));
        }
        let health = Health::new(opened, epoch, log);
        let inner = Inner {
            clock,
            observer,
            readers,
            writer,
            read_breaker,
            write_breaker,
            kept,
            budget,
            health,
            keeper,
            statements,
            options,
        };
        Ok(Self {
            inner: Arc::new(inner),
            origin: None,
        })
    }

    /// The same database on behalf of a request: what its operations bring about is told with it.
    #[must_use]
    pub fn on_behalf_of(&self, origin: Arc<Origin>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            origin: Some(origin),
        }
    }

    /// `app` or `events`.
    pub fn name(&self) -> &'static str {
        self.inner.options.name
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Its settings.
    pub fn settings(&self) -> &DatabaseSettings {
        &self.inner.options.settings
    }

    fn deadline(&self, operation: Operation) -> Instant {
        let most = self.inner.options.settings.operation.timeout;
        clock::now() + operation.timeout.map_or(most, |own| own.min(most))
    }

    fn caller(&self, site: &'static Location<'static>) -> Caller {
        Caller {
            site,
            origin: self.origin.clone(),
        }
    }

    /// The operations that run now, the oldest first. Those that wait for admission or in the writer's queue aren't
    /// among them.
    pub fn active(&self) -> Vec<ActiveOperation> {
        self.inner.readers.active.list(clock::now())
    }

    /// Stops a running operation; its caller gets [`ErrorKind::Cancelled`]. `false` when it is over.
    pub fn cancel(&self, operation: OperationId) -> bool {
        self.inner.readers.active.cancel(operation)
    }

    fn permit(&self, breaker: &Arc<Breaker>, operation: Operation, number: u64) -> Result<Permit, DbError> {
        breaker
            .acquire(number, self.origin.as_ref())
            .map_err(|refusal| refused(self.name(), operation.name, refusal))
    }

    fn read_permit(&self, operation: Operation, number: u64) -> Result<BorrowedPermit<'_>, DbError> {
        self.inner
            .read_breaker
            .borrow_permit(number, self.origin.as_ref())
            .map_err(|refusal| refused(self.name(), operation.name, refusal))
    }

    /// Whether a read would be let through now. Looks at the breaker only; no I/O.
    ///
    /// # Errors
    /// The refusal it would get, with the time to come back.
    pub fn admits_read(&self) -> Result<(), DbError> {
        self.inner
            .read_breaker
            .peek()
            .map_err(|refusal| refused(self.name(), "read", refusal))
    }

    /// Whether a write would be let through now. Looks at the breaker only; no I/O.
    ///
    /// # Errors
    /// The refusal it would get, with the time to come back.
    pub fn admits_write(&self) -> Result<(), DbError> {
        self.inner
            .write_breaker
            .peek()
            .map_err(|refusal| refused(self.name(), "write", refusal))
    }

    /// The two breakers: read, write.
    pub fn breakers(&self) -> [&Arc<Breaker>; 2] {
        [&self.inner.read_breaker, &self.inner.write_breaker]
    }

    /// Drains the writer, checkpoints and closes, within `patience`. Blocking. Later writes are refused.
    pub fn close(&self, patience: Duration) {
        self.inner.keeper.stop();
        self.inner.writer.close(patience);
        self.inner.kept.keep(&self.breakers());
    }
}
