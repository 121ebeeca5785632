//! Opening a database (floor 1): its parts, made in the order in which they need each other.
//!
//! What must stay true: a file that isn't ours is left untouched; nothing is answered before the schema is up to date;
//! all connections share one epoch and one identity of the file. Called once for each database.

use std::path::PathBuf;
use std::sync::Arc;

use super::limits::first_limit;
use super::{Database, Inner};
use crate::clock::{self, SharedClock};
use crate::config::{DatabaseSettings, PoolSettings};
use crate::db::active::Active;
use crate::db::adaptive::Adaptive;
use crate::db::breaker::{Breaker, KeptStates};
use crate::db::checkpoint::{Keeper, Parts};
use crate::db::connection::{Epoch, Manager, Role};
use crate::db::health::Health;
use crate::db::holders::Holders;
use crate::db::identity::{Identity, identity};
use crate::db::limiter::Limiter;
use crate::db::log::WriteAheadLog;
use crate::db::migrations::{Migration, prepare};
use crate::db::observe::Observer;
use crate::db::open_error::OpenError;
use crate::db::pool::ConnectionPool;
use crate::db::readers::Readers;
use crate::db::reserve::Reserve;
use crate::db::retry::Budget;
use crate::db::room::Room;
use crate::db::sequence::Sequence;
use crate::db::statements::Statements;
use crate::db::writer::{Metrics, Shared, Stop, Underway, Writer};
use crate::quantiles::Quantiles;

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

/// What the parts share.
struct Plan {
    options: Options,
    clock: SharedClock,
    observer: Arc<dyn Observer>,
    opened: Identity,
    epoch: Epoch,
    holders: Arc<Holders>,
    statements: Arc<Statements>,
    active: Arc<Active>,
    budget: Arc<Budget>,
    /// Read, write.
    breakers: [Arc<Breaker>; 2],
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
        let prepared = prepare(&options.path, options.application_id, options.migrations)?;
        for step in prepared.applied {
            tracing::info!(database = options.name, step, "schema migrated");
        }
        let (sequence, missing) = Sequence::open(&options.path, prepared.database, prepared.last_commit);
        if let Some(missing) = &missing {
            observer.commits_missing(options.name, missing);
        }
        let plan = Plan::new(options, clock, observer)?;
        let log = WriteAheadLog::open(&plan.options.path).map_err(|source| OpenError::Sqlite {
            path: plan.options.path.display().to_string(),
            what: "open its write-ahead log".to_owned(),
            source,
        })?;
        let [read_breaker, write_breaker] = plan.breakers.clone();
        let kept = KeptStates::restore(&plan.options.path, &[&read_breaker, &write_breaker]);
        let readers = Arc::new(plan.readers());
        let writer = Writer::start(Arc::new(plan.writer()), sequence).map_err(|source| plan.io(source))?;
        let keeper = Keeper::start(plan.keeper()).map_err(|source| plan.io(source))?;
        // The pools connect behind the scenes; the first callers shall not wait for that. A failure is for them to meet.
        let until = clock::now() + plan.options.settings.pool.connect_timeout;
        for pool in [&readers.pool, &writer.shared.pool] {
            drop(pool.checkout("open", until));
        }
        let inner = Inner {
            readers,
            writer,
            read_breaker,
            write_breaker,
            kept,
            health: Health::new(plan.opened, plan.epoch, log),
            missing,
            keeper,
            clock: plan.clock,
            observer: plan.observer,
            budget: plan.budget,
            statements: plan.statements,
            options: plan.options,
        };
        Ok(Self {
            inner: Arc::new(inner),
            origin: None,
        })
    }
}

fn io(options: &Options, source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: options.path.display().to_string(),
        source,
    }
}

impl Plan {
    fn new(options: Options, clock: SharedClock, observer: Arc<dyn Observer>) -> Result<Self, OpenError> {
        let settings = &options.settings;
        let breaker = |direction: &str| {
            let name = format!("{}.{direction}", options.name);
            let (clock, observer) = (Arc::clone(&clock), Arc::clone(&observer));
            Breaker::new(name, settings.breaker.clone(), clock, observer)
        };
        Ok(Self {
            opened: identity(&options.path).map_err(|source| io(&options, source))?,
            epoch: Epoch::default(),
            holders: Arc::new(Holders::new(&options.path)),
            statements: Arc::new(Statements::new(settings.operation.slow_query, clock.wall())),
            // Each reader and the writer's job have a place.
            active: Active::new(settings.pool.max + 1),
            budget: Arc::new(Budget::new(clock::now())),
            breakers: [breaker("read"), breaker("write")],
            options,
            clock,
            observer,
        })
    }

    fn io(&self, source: std::io::Error) -> OpenError {
        io(&self.options, source)
    }

    fn pool(&self, role: Role, settings: &PoolSettings) -> ConnectionPool {
        let ends = (settings.max_lifetime, Arc::clone(&self.epoch));
        let (holders, statements) = (Arc::clone(&self.holders), Arc::clone(&self.statements));
        let manager = Manager::new(&self.options.path, self.opened, role, ends, holders, statements);
        ConnectionPool::new(manager, settings, self.options.name)
    }

    fn single(&self, min: u32) -> PoolSettings {
        PoolSettings {
            max: 1,
            min,
            ..self.options.settings.pool.clone()
        }
    }

    fn readers(&self) -> Readers {
        let settings = &self.options.settings;
        Readers {
            pool: self.pool(Role::Reader, &settings.pool),
            limiter: Limiter::new(Adaptive::new(first_limit(), settings.pool.min, settings.pool.max)),
            connection_waits: Quantiles::new(),
            steps: Quantiles::new(),
            active: Arc::clone(&self.active),
            settings: settings.operation.clone(),
            connect_timeout: settings.pool.connect_timeout,
            observer: Arc::clone(&self.observer),
            database: self.options.name,
            statements: Arc::clone(&self.statements),
        }
    }

    fn writer(&self) -> Shared {
        let [read_breaker, breaker] = self.breakers.clone();
        Shared {
            database: self.options.name,
            settings: self.options.settings.clone(),
            breaker,
            read_breaker,
            observer: Arc::clone(&self.observer),
            pool: self.pool(Role::Writer, &self.single(1)),
            budget: Arc::clone(&self.budget),
            active: Arc::clone(&self.active),
            metrics: Metrics::default(),
            underway: Underway::default(),
            stop: Stop::default(),
            room: Room::with(Reserve::beside(&self.options.path)),
            statements: Arc::clone(&self.statements),
            clock: Arc::clone(&self.clock),
        }
    }

    fn keeper(&self) -> Parts {
        Parts {
            database: self.options.name,
            path: self.options.path.clone(),
            pool: self.pool(Role::Reader, &self.single(0)),
            breakers: self.breakers.clone(),
            observer: Arc::clone(&self.observer),
            holders: Arc::clone(&self.holders),
            active: Arc::clone(&self.active),
            clock: Arc::clone(&self.clock),
        }
    }
}
