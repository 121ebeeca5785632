//! One connection (floor 1) and the r2d2 manager whose checks can fail; `configure` is how each is set up.
//!
//! What must stay true: a connection that saw a panic, an open transaction or an I/O error never goes back to the
//! pool; a check reads a real page; a panic in here becomes an error, because three of them would kill an r2d2 pool;
//! a connection is never made to a file other than the one that was opened first. Called by the pool and the writer.

mod configure;
mod counters;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use r2d2::ManageConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};

pub use self::configure::{Role, WAL_SIZE_LIMIT_BYTES, configure, limit_cache, read_real_page};
pub use self::counters::{Counter, counted};
use super::backoff::within_ten_percent;
use super::deadline;
use super::holders::Holders;
use super::identity::{Identity, identity, moved};
use super::statements::{self, Statements};
use crate::clock;

/// A failure to connect explains waits that begin at most this much later.
const STILL_RELEVANT: Duration = Duration::from_secs(3);
/// A connection last asked for less than this ago is trusted at checkout without a look.
const BYPASS: Duration = Duration::from_millis(500);
/// A connection with what the pool must know of it.
pub struct Guarded {
    connection: Connection,
    // After the connection, so that it is dropped later: SQLite's trace holds a pointer to it.
    _statements: Arc<Statements>,
    poisoned: bool,
    holders: Arc<Holders>,
    epoch: u64,
    path: PathBuf,
    opened: Identity,
    /// When it was last asked for.
    used_at: Instant,
    expires_at: Instant,
}

impl Guarded {
    /// It saw a panic or an error after which it can't be trusted.
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Who holds the file's locks.
    pub fn holders(&self) -> &Arc<Holders> {
        &self.holders
    }

    /// What happened to its file where the path no longer names it: what is committed there is lost. One `stat`, some
    /// two microseconds.
    pub fn moved(&self) -> Option<String> {
        moved(identity(&self.path), self.opened)
    }
}

impl Deref for Guarded {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// Why a connection could not be made or was found bad.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// SQLite's error.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The path no longer names the file that was opened.
    #[error("the database file was deleted or replaced")]
    Moved,
    /// It lived long enough.
    #[error("the connection reached its lifetime")]
    Expired,
    /// A panic, or an error without a code, while connecting or checking.
    #[error("failed while {0}")]
    Failed(&'static str),
}

impl ConnectError {
    /// The same, as far as it can be copied: rusqlite's errors aren't `Clone`, their codes are.
    fn copied(&self) -> Self {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(code, text)) => {
                Self::Sqlite(rusqlite::Error::SqliteFailure(*code, text.clone()))
            }
            Self::Sqlite(_) => Self::Failed("configuring"),
            Self::Moved => Self::Moved,
            Self::Expired => Self::Expired,
            Self::Failed(doing) => Self::Failed(doing),
        }
    }
}

/// The manager: r2d2_sqlite's, with checks.
pub struct Manager {
    inner: SqliteConnectionManager,
    path: PathBuf,
    opened: Identity,
    lifetime: Duration,
    failures: Arc<LastFailure>,
    epoch: Epoch,
    holders: Arc<Holders>,
    /// Connects and checks that shall panic.
    #[cfg(test)]
    panics: Arc<AtomicU64>,
    statements: Arc<Statements>,
}

/// What bounds a connection.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long it may live.
    pub lifetime: Duration,
    /// Made before this was raised, it is used no more.
    pub epoch: Epoch,
    /// Its page cache, in KiB.
    pub cache_kib: u32,
}

/// Raised when the file was isolated: connections made before must not be used again.
pub type Epoch = Arc<AtomicU64>;

/// The latest failure to connect, so that a waiter learns the cause of its wait: r2d2 itself only says "timed out".
#[derive(Default)]
pub struct LastFailure(Mutex<Option<(Instant, ConnectError)>>);

impl LastFailure {
    /// The failure that explains a wait that began at `since`: one that came later, or that was recent by then and not
    /// followed by a success.
    pub fn since(&self, since: Instant) -> Option<ConnectError> {
        let last = self.0.lock();
        let (at, error) = last.as_ref()?;
        (*at + STILL_RELEVANT >= since).then(|| error.copied())
    }

    fn clear(&self) {
        *self.0.lock() = None;
    }

    fn keep(&self, error: &ConnectError) {
        *self.0.lock() = Some((clock::now(), error.copied()));
    }
}

impl Manager {
    /// For the file at `path`, which must be `opened`.
    pub fn new(
        path: &Path,
        opened: Identity,
        role: Role,
        Terms {
            lifetime,
            epoch,
            cache_kib,
        }: Terms,
        holders: Arc<Holders>,
        statements: Arc<Statements>,
    ) -> Self {
        // Without CREATE: a deleted file must never come back as an empty one.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = SqliteConnectionManager::file(path)
            .with_flags(flags)
            .with_init(move |connection| {
                // First, because configuring may wait for a lock already.
                deadline::obey_scopes(connection)?;
                configure(connection, role)?;
                limit_cache(connection, cache_kib)
            });
        Self {
            inner,
            path: path.to_owned(),
            opened,
            lifetime,
            failures: Arc::default(),
            epoch,
            holders,
            #[cfg(test)]
            panics: Arc::default(),
            statements,
        }
    }

    /// Whether it was made before the file was last isolated.
    fn is_foreign(&self, guarded: &Guarded) -> bool {
        guarded.epoch != self.epoch.load(Ordering::Acquire)
    }

    /// Whether the path still names the file that was opened first.
    fn check_identity(&self) -> Result<(), ConnectError> {
        match identity(&self.path) {
            Ok(found) if found == self.opened => Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                // Not allowed to look, or an I/O error: says nothing about which file it is.
                let cannot_open = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
                Err(rusqlite::Error::SqliteFailure(cannot_open, Some(error.kind().to_string())).into())
            }
            _ => Err(ConnectError::Moved),
        }
    }

    #[cfg(test)]
    fn panic_if_told(&self) {
        let due = |left: u64| left.checked_sub(1);
        let told = self.panics.fetch_update(Ordering::AcqRel, Ordering::Acquire, due);
        assert!(told.is_err(), "told to panic");
    }

    fn connect_checked(&self) -> Result<Guarded, ConnectError> {
        #[cfg(test)]
        self.panic_if_told();
        self.check_identity()?;
        let connection = self.inner.connect()?;
        self.check_identity()?;
        let now = clock::now();
        let expires_at = now + within_ten_percent(self.lifetime, fastrand::f64());
        statements::watch(&connection, &self.statements);
        Ok(Guarded {
            connection,
            _statements: Arc::clone(&self.statements),
            poisoned: false,
            holders: Arc::clone(&self.holders),
            epoch: self.epoch.load(Ordering::Acquire),
            path: self.path.clone(),
            opened: self.opened,
            used_at: now,
            expires_at,
        })
    }

    /// Where failures to connect are kept.
    pub fn failures(&self) -> Arc<LastFailure> {
        Arc::clone(&self.failures)
    }
}

fn caught<T>(doing: &'static str, f: impl FnOnce() -> Result<T, ConnectError>) -> Result<T, ConnectError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(ConnectError::Failed(doing)))
}

impl ManageConnection for Manager {
    type Connection = Guarded;
    type Error = ConnectError;

    fn connect(&self) -> Result<Guarded, ConnectError> {
        caught("connecting", || self.connect_checked())
            .inspect(|_| self.failures.clear())
            .inspect_err(|error| self.failures.keep(error))
    }

    fn is_valid(&self, guarded: &mut Guarded) -> Result<(), ConnectError> {
        let now = clock::now();
        if now >= guarded.expires_at || self.is_foreign(guarded) {
            return Err(ConnectError::Expired);
        }
        let unused = now.saturating_duration_since(guarded.used_at);
        guarded.used_at = now;
        if unused < BYPASS {
            return Ok(());
        }
        caught("checking", || {
            #[cfg(test)]
            self.panic_if_told();
            Ok(read_real_page(&guarded.connection)?)
        })
    }

    fn has_broken(&self, guarded: &mut Guarded) -> bool {
        // Without a look at the clock, because this is on every operation's way: its lifetime is the next checkout's.
        // A panic of its borrower counts, whatever it was doing.
        let panicked = std::thread::panicking();
        guarded.poisoned || panicked || !guarded.connection.is_autocommit() || self.is_foreign(guarded)
    }
}

#[cfg(test)]
mod tests;
