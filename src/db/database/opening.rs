//! Opening a database (floor 1): the file is made ready, then everything around it is built and started, in this order:
//! schema, sequence of commits, log, breakers (as a restart left them), readers, writer, keeper of the log.
//!
//! What must stay true: a file that isn't ours is left untouched; nothing runs yet when an error is returned.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::limits::first_limit;
use super::on_full_disk::prepare_with_reserve;
use super::{Database, Inner, Options};
use crate::clock::{self, SharedClock};
use crate::config::{DatabaseSettings, OperationSettings, PoolSettings};
use crate::db::active::Active;
use crate::db::adaptive::Adaptive;
use crate::db::breaker::{Breaker, KeptStates};
use crate::db::checkpoint::{Alarm, Keeper, Parts};
use crate::db::connection::{Epoch, Manager, Role, Terms};
use crate::db::gap;
use crate::db::health::Health;
use crate::db::holders::Holders;
use crate::db::identity::{Identity, identity};
use crate::db::limiter::Limiter;
use crate::db::log::WriteAheadLog;
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

/// Most of a reader's page cache: SQLite's own default.
const CACHE_KIB: u32 = 2000;
/// The writer's: a page that a transaction changes and that doesn't fit is written to the log before its time, and once
/// more with the commit; and every row is looked up in indexes whose upper pages should be at hand.
const WRITER_CACHE_KIB: u32 = 16_000;
/// All readers of a file together.
const READERS_CACHE_KIB: u32 = 64 << 10;
const LEAST_CACHE_KIB: u32 = 256;

fn cache_kib(role: Role, readers: u32) -> u32 {
    match role {
        Role::Reader => (READERS_CACHE_KIB / readers.max(1)).clamp(LEAST_CACHE_KIB, CACHE_KIB),
        Role::Writer => WRITER_CACHE_KIB,
    }
}

/// A lock budget that doesn't fit into its operation could never be spent, and the breaker would never hear of it.
fn fit_lock_budget(options: &mut Options) {
    let OperationSettings {
        timeout, lock_timeout, ..
    } = &mut options.settings.operation;
    let shortest = (*timeout).min(options.settings.health.timeout);
    *lock_timeout = (*lock_timeout).min(shortest * 3 / 4);
}

/// Who makes the settings without `config` may ask for what no pool can be: r2d2 would panic.
fn check_settings(settings: &DatabaseSettings) -> Result<(), OpenError> {
    let refuse = |field, value, allowed| Err(OpenError::Setting { field, value, allowed });
    let PoolSettings { min, max, .. } = settings.pool;
    if max == 0 {
        return refuse("pool.max", "0".to_owned(), "at least 1".to_owned());
    }
    if min > max {
        return refuse("pool.min", min.to_string(), format!("at most pool.max, which is {max}"));
    }
    let times = [
        ("pool.idle_timeout", settings.pool.idle_timeout),
        ("pool.max_lifetime", settings.pool.max_lifetime),
        ("pool.connect_timeout", settings.pool.connect_timeout),
        ("operation.timeout", settings.operation.timeout),
        ("health.timeout", settings.health.timeout),
        ("health.interval", settings.health.interval),
    ];
    match times.into_iter().find(|(_, time)| time.is_zero()) {
        Some((field, time)) => refuse(field, format!("{time:?}"), "longer than nothing".to_owned()),
        None => Ok(()),
    }
}

/// What the parts of one database share.
struct Common {
    options: Options,
    clock: SharedClock,
    observer: Arc<dyn Observer>,
    opened: Identity,
    epoch: Epoch,
    holders: Arc<Holders>,
    log_alarm: Arc<Alarm>,
    statements: Arc<Statements>,
    active: Arc<Active>,
    budget: Arc<Budget>,
    read_breaker: Arc<Breaker>,
    write_breaker: Arc<Breaker>,
}

impl Common {
    fn new(options: Options, clock: SharedClock, observer: Arc<dyn Observer>, opened: Identity) -> Self {
        let settings = &options.settings;
        let breaker = |direction: &str| {
            let name = format!("{}.{direction}", options.name);
            let (clock, observer) = (Arc::clone(&clock), Arc::clone(&observer));
            Breaker::new(name, settings.breaker.clone(), clock, observer)
        };
        Self {
            opened,
            epoch: Epoch::default(),
            holders: Arc::new(Holders::new(&options.path)),
            log_alarm: Arc::default(),
            statements: Arc::new(Statements::new(settings.operation.slow_query, clock.wall())),
            // Each reader and the writer's job have a place.
            active: Active::new(settings.pool.max + 1),
            budget: Arc::new(Budget::new(clock::now())),
            read_breaker: breaker("read"),
            write_breaker: breaker("write"),
            clock,
            observer,
            options,
        }
    }

    /// A pool of its own for connections of one role.
    fn pool(&self, role: Role, settings: &PoolSettings) -> ConnectionPool {
        let terms = Terms {
            lifetime: settings.max_lifetime,
            epoch: Arc::clone(&self.epoch),
            cache_kib: cache_kib(role, self.options.settings.pool.max),
        };
        let (holders, statements) = (Arc::clone(&self.holders), Arc::clone(&self.statements));
        let manager = Manager::new(&self.options.path, self.opened, role, terms, holders, statements);
        ConnectionPool::new(manager, settings, self.options.name)
    }

    /// The settings of a pool of one connection.
    fn single(&self, min: u32) -> PoolSettings {
        PoolSettings {
            max: 1,
            min,
            ..self.options.settings.pool.clone()
        }
    }

    fn readers(&self) -> Arc<Readers> {
        let settings = &self.options.settings;
        Arc::new(Readers {
            pool: self.pool(Role::Reader, &settings.pool),
            limiter: Limiter::new(Adaptive::new(first_limit(), settings.pool.min, settings.pool.max)),
            connection_waits: Quantiles::new(),
            steps: Quantiles::new(),
            turned_away: crate::rate::MinuteRate::starting_at(clock::now()),
            active: Arc::clone(&self.active),
            settings: settings.operation.clone(),
            connect_timeout: settings.pool.connect_timeout,
            observer: Arc::clone(&self.observer),
            database: self.options.name,
            statements: Arc::clone(&self.statements),
        })
    }

    fn of_writer(&self) -> Arc<Shared> {
        Arc::new(Shared {
            database: self.options.name,
            settings: self.options.settings.clone(),
            breaker: Arc::clone(&self.write_breaker),
            read_breaker: Arc::clone(&self.read_breaker),
            observer: Arc::clone(&self.observer),
            pool: self.pool(Role::Writer, &self.single(1)),
            budget: Arc::clone(&self.budget),
            active: Arc::clone(&self.active),
            metrics: Metrics::default(),
            underway: Underway::default(),
            stop: Stop::default(),
            room: Room::with(Reserve::beside(&self.options.path), self.write_breaker.is_held()),
            statements: Arc::clone(&self.statements),
            clock: Arc::clone(&self.clock),
            log_alarm: Arc::clone(&self.log_alarm),
        })
    }

    fn of_keeper(&self) -> Parts {
        Parts {
            database: self.options.name,
            path: self.options.path.clone(),
            pool: self.pool(Role::Reader, &self.single(0)),
            breakers: [Arc::clone(&self.read_breaker), Arc::clone(&self.write_breaker)],
            observer: Arc::clone(&self.observer),
            holders: Arc::clone(&self.holders),
            active: Arc::clone(&self.active),
            clock: Arc::clone(&self.clock),
            alarm: Arc::clone(&self.log_alarm),
        }
    }
}

impl Database {
    /// Opens, creates or migrates the file and starts its writer. Blocking.
    ///
    /// # Errors
    /// [`OpenError`]: a senseless setting, not ours, too new, locked, not allowed. A file that isn't ours is left untouched.
    pub fn open(mut options: Options, clock: SharedClock, observer: Arc<dyn Observer>) -> Result<Self, OpenError> {
        check_settings(&options.settings)?;
        fit_lock_budget(&mut options);
        let (prepared, begins_full) = prepare_with_reserve(&options)?;
        for step in prepared.applied {
            tracing::info!(database = options.name, step, "schema migrated");
        }
        let (mut sequence, missing) = Sequence::open(&options.path, prepared.database, prepared.last_commit);
        let gap = gap::at_start(&mut sequence, missing, prepared.set_aside, options.name, clock.wall());
        if let Some(gap) = gap.as_ref().filter(|_| missing.is_some()) {
            tracing::warn!(database = options.name, missing = %gap, "what was acknowledged can't be vouched for");
            observer.commits_missing(options.name, gap);
        }
        let path = options.path.display().to_string();
        let io = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let opened = identity(&options.path).map_err(io)?;
        let log = WriteAheadLog::open(&options.path).map_err(|source| OpenError::Sqlite {
            path: path.clone(),
            what: "open its write-ahead log".to_owned(),
            source,
        })?;
        let common = Common::new(options, clock, observer, opened);
        let kept = KeptStates::restore(&common.options.path, &[&common.read_breaker, &common.write_breaker]);
        let readers = common.readers();
        let writer = Writer::start(common.of_writer(), sequence).map_err(io)?;
        if begins_full {
            writer.shared.room.begins_full(&common.write_breaker);
        }
        let keeper = Keeper::start(common.of_keeper()).map_err(io)?;
        // The pools connect behind the scenes; the first callers shall not wait for that. A failure is for them to meet.
        let until = clock::now() + common.options.settings.pool.connect_timeout;
        for pool in [&readers.pool, &writer.shared.pool] {
            drop(pool.checkout("open", until));
        }
        let inner = Inner {
            readers,
            writer,
            kept,
            gap,
            keeper,
            health: Health::new(opened, common.epoch, log),
            clock: common.clock,
            observer: common.observer,
            read_breaker: common.read_breaker,
            write_breaker: common.write_breaker,
            budget: common.budget,
            statements: common.statements,
            options: common.options,
            closed: AtomicBool::new(false),
        };
        let database = Self {
            inner: Arc::new(inner),
            origin: None,
        };
        // The kept states may know of it for one direction only.
        database.isolate_both_if_either();
        Ok(database)
    }
}
