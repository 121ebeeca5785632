//! Building r2d2 pools and getting connections out of them (floor 1).
//!
//! What must stay true: a failure to connect is reported with its cause as soon as it is known, not as a bare
//! timeout; all pools of the process share one pair of r2d2's helper threads. Called by the readers and the writer.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use r2d2::{Pool, PooledConnection};
use scheduled_thread_pool::ScheduledThreadPool;

use super::connection::{ConnectError, Guarded, LastFailure, Manager};
use super::error::{DbError, ErrorKind};
use crate::clock;
use crate::config::PoolSettings;

#[cfg(test)]
mod direct;

/// How often a waiter looks for the cause of its wait.
const SLICE: Duration = Duration::from_millis(50);
const HELPER_THREADS: usize = 2;
/// Half of this is the longest that r2d2 sleeps between two tries to connect.
const RECONNECT: Duration = Duration::from_secs(2);

/// A checked-out connection; it goes back by itself.
pub enum Checkout {
    /// Of r2d2's pool.
    Pooled(PooledConnection<Manager>),
    /// Of a simulation.
    #[cfg(test)]
    Direct(direct::Checkout),
}

impl Deref for Checkout {
    type Target = Guarded;

    fn deref(&self) -> &Guarded {
        match self {
            Self::Pooled(connection) => connection,
            #[cfg(test)]
            Self::Direct(connection) => connection,
        }
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Guarded {
        match self {
            Self::Pooled(connection) => connection,
            #[cfg(test)]
            Self::Direct(connection) => connection,
        }
    }
}

/// Where connections come from.
enum Source {
    Pooled(Pool<Manager>),
    #[cfg(test)]
    Direct(direct::Direct),
}

fn helpers() -> Arc<ScheduledThreadPool> {
    static HELPERS: OnceLock<Arc<ScheduledThreadPool>> = OnceLock::new();
    let made = HELPERS.get_or_init(|| {
        Arc::new(
            ScheduledThreadPool::builder()
                .num_threads(HELPER_THREADS)
                .thread_name_pattern("pool-{}")
                .build(),
        )
    });
    Arc::clone(made)
}

/// A pool and the manager behind it.
pub struct ConnectionPool {
    source: Source,
    failures: Arc<LastFailure>,
    database: &'static str,
}

#[derive(Debug)]
struct Quiet;

impl r2d2::HandleError<ConnectError> for Quiet {
    fn handle_error(&self, error: ConnectError) {
        // Expiry is housekeeping. The rest is reported by whoever asked for a connection, with its operation.
        if !matches!(error, ConnectError::Expired) {
            tracing::debug!(%error, "a pooled connection could not be made or was found bad");
        }
    }
}

impl ConnectionPool {
    /// A pool of `settings.min` to `settings.max` connections; none is made yet.
    pub fn new(manager: Manager, settings: &PoolSettings, database: &'static str) -> Self {
        let failures = manager.failures();
        #[cfg(test)]
        if super::simulation::is_running() {
            let source = Source::Direct(direct::Direct::new(manager, settings.max));
            return Self {
                source,
                failures,
                database,
            };
        }
        let pool = Pool::builder()
            .max_size(settings.max)
            .min_idle(Some(settings.min.min(settings.max)))
            .idle_timeout(Some(settings.idle_timeout))
            // The connections carry a lifetime of their own with jitter; this one only catches the idle.
            .max_lifetime(Some(settings.max_lifetime.mul_f64(1.1)))
            // Each checkout has a limit of its own; this one only paces r2d2's own repetition of a failed connect.
            .connection_timeout(settings.connect_timeout.min(RECONNECT))
            .test_on_check_out(true)
            .error_handler(Box::new(Quiet))
            .thread_pool(helpers())
            .build_unchecked(manager);
        Self {
            source: Source::Pooled(pool),
            failures,
            database,
        }
    }

    /// An idle connection, if there is one right now.
    pub fn try_checkout(&self) -> Option<Checkout> {
        match &self.source {
            Source::Pooled(pool) => pool.try_get().map(Checkout::Pooled),
            #[cfg(test)]
            Source::Direct(direct) => direct.idle().map(Checkout::Direct),
        }
    }

    /// Waits for a connection until `until`. Blocking.
    ///
    /// # Errors
    /// The code of the failed connect where one is known, otherwise [`ErrorKind::PoolTimeout`].
    pub fn checkout(&self, operation: &'static str, until: Instant) -> Result<Checkout, DbError> {
        let asked = clock::now();
        loop {
            let left = until.saturating_duration_since(clock::now());
            if let Some(connection) = self.get(left.min(SLICE).max(Duration::from_millis(1))) {
                return Ok(connection);
            }
            if let Some(error) = self.failures.since(asked) {
                return Err(self.connect_failure(operation, &error));
            }
            if clock::now() >= until {
                let (open, idle) = self.counts();
                let at_ceiling = open >= self.most() && idle == 0;
                return Err(
                    DbError::new(self.database, operation, ErrorKind::PoolTimeout { at_ceiling })
                        .with_detail(format!("{open} connections, {idle} of them idle")),
                );
            }
        }
    }

    fn get(&self, patience: Duration) -> Option<Checkout> {
        match &self.source {
            Source::Pooled(pool) => pool.get_timeout(patience).ok().map(Checkout::Pooled),
            #[cfg(test)]
            Source::Direct(direct) => direct.get(patience).map(Checkout::Direct),
        }
    }

    fn connect_failure(&self, operation: &'static str, error: &ConnectError) -> DbError {
        match error {
            ConnectError::Sqlite(error) => DbError::from_sqlite(self.database, operation, error),
            ConnectError::Moved => DbError::new(
                self.database,
                operation,
                ErrorKind::Isolated {
                    cause: error.to_string(),
                },
            ),
            other => {
                let kind = ErrorKind::PoolTimeout { at_ceiling: false };
                DbError::new(self.database, operation, kind).with_detail(other.to_string())
            }
        }
    }

    /// Connections that there may be.
    pub fn most(&self) -> u32 {
        match &self.source {
            Source::Pooled(pool) => pool.max_size(),
            // As many as are asked for at once: it never waits.
            #[cfg(test)]
            Source::Direct(_) => u32::MAX,
        }
    }

    /// Connections that exist, and of these the idle ones.
    pub fn counts(&self) -> (u32, u32) {
        match &self.source {
            Source::Pooled(pool) => {
                let state = pool.state();
                (state.connections, state.idle_connections)
            }
            #[cfg(test)]
            Source::Direct(direct) => direct.counts(),
        }
    }
}
