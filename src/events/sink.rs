//! Where events are stored (floor 2): events.db behind a small interface, so that the pipeline's promises can be tested
//! without a file that is locked on purpose.
//!
//! What must stay true: an `Ok` means that the whole batch is on disk; an `Err` says nothing of it can be relied on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

mod gathered;

use self::gathered::{Answer, Batch, Gatherer, OF_LARGE, OF_SMALL, SMALL, SMALL_BYTES};
use super::group::Engine;
use super::store::{self, Inserted, Prepared};
use super::storm::Groups;
use crate::config::OperationSettings;
use crate::db::rusqlite::Connection;
use crate::db::{Database, DbError, Effect, ErrorKind, LogGeneration, Operation};

/// Added to the lock wait, so that an attempt can spend its whole lock budget and count on the breaker.
const GRACE: Duration = Duration::from_millis(250);
/// For a look at the log's header.
const LOOK: Duration = Duration::from_secs(1);

/// An answer that comes later.
pub(super) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes batches of events.
pub(super) trait Sink: Send + Sync + 'static {
    /// Stores a batch: all of it or nothing.
    fn write(&self, batch: Batch) -> Later<'_, Result<Vec<Inserted>, DbError>>;
    /// The same for one of several that are stored in the order of these calls, however long their answers are waited for.
    /// `None` when too many wait already.
    fn queue(&self, batch: Batch) -> Option<Later<'_, Result<Vec<Inserted>, DbError>>>;
    /// Whether a write would be tried now; no I/O.
    fn admits(&self) -> bool;
    /// The spool found the disk full; whether there is a little room now.
    fn disk_was_full(&self) -> Later<'_, bool>;
    /// Which write-ahead log holds what was stored last; `None` when that can't be told.
    fn log_generation(&self) -> Later<'_, Option<LogGeneration>>;
}

/// events.db.
pub(super) struct DatabaseSink {
    database: Database,
    writing: Arc<Writing>,
    small: Gatherer,
    large: Gatherer,
}

/// What a write job needs.
struct Writing {
    database: Database,
    patience: Duration,
    /// Used on the writer thread alone, so its lock is always free.
    memory: Arc<Mutex<(Engine, Groups)>>,
}

impl DatabaseSink {
    /// An event waits no longer than one attempt may: the spool is the better place than a long queue. Needs a runtime.
    pub(super) fn new(database: Database, operation: &OperationSettings, groups: Groups) -> Self {
        let writing = Arc::new(Writing {
            database: database.clone(),
            patience: operation.timeout.min(operation.lock_timeout + GRACE),
            memory: Arc::new(Mutex::new((Engine::default(), groups))),
        });
        Self {
            database,
            small: Gatherer::start(Arc::clone(&writing), OF_SMALL),
            large: Gatherer::start(Arc::clone(&writing), OF_LARGE),
            writing,
        }
    }
}

impl DatabaseSink {
    async fn answered(&self, answer: Answer) -> Result<Vec<Inserted>, DbError> {
        // The task answers everybody as long as it runs; it ends with the runtime.
        let unknown = |_| DbError::new(self.database.name(), "events.ingest", ErrorKind::OutcomeUnknown);
        answer.await.map_err(unknown)?
    }
}

impl Writing {
    /// One job for these batches: all of it or nothing.
    async fn write(&self, batches: Vec<Batch>, bytes: usize, patience: Duration) -> Result<Vec<Inserted>, DbError> {
        let operation = Operation::write("events.ingest")
            .within(patience)
            .idempotent()
            .carrying(bytes);
        let memory = Arc::clone(&self.memory);
        let mut earlier = None;
        let insert = move |connection: &Connection| {
            let all: Vec<&Prepared> = batches.iter().flat_map(|batch| batch.iter()).collect();
            let (engine, groups) = &mut *memory.lock();
            let mut inserted = store::insert_thinned(connection, &all, engine, groups)?;
            // An event that this very write had inserted before, in an attempt that was committed unknown to us, is new.
            let before = earlier.get_or_insert_with(|| inserted.clone());
            for (now, before) in inserted.iter_mut().zip(before) {
                if *now == Inserted::Duplicate {
                    *now = *before;
                }
            }
            Ok(Effect::Commit(inserted))
        };
        self.database.write(operation, insert).await
    }
}

impl Sink for DatabaseSink {
    fn write(&self, batch: Batch) -> Later<'_, Result<Vec<Inserted>, DbError>> {
        let bytes = batch.iter().map(Prepared::bytes).sum();
        let is_small = batch.len() <= SMALL && bytes <= SMALL_BYTES;
        let gatherer = if is_small { &self.small } else { &self.large };
        let gathered = gatherer.add(Arc::clone(&batch), bytes);
        Box::pin(async move {
            if let Some(answer) = gathered {
                return self.answered(answer).await;
            }
            let patience = self.writing.patience;
            self.writing.write(vec![batch], bytes, patience).await
        })
    }

    fn queue(&self, batch: Batch) -> Option<Later<'_, Result<Vec<Inserted>, DbError>>> {
        let bytes = batch.iter().map(Prepared::bytes).sum();
        // Whatever its size: two queues would keep no order.
        let answer = self.large.add(batch, bytes)?;
        Some(Box::pin(self.answered(answer)))
    }

    fn admits(&self) -> bool {
        self.database.admits_write().is_ok()
    }

    fn disk_was_full(&self) -> Later<'_, bool> {
        Box::pin(self.database.disk_was_full())
    }

    fn log_generation(&self) -> Later<'_, Option<LogGeneration>> {
        let database = self.database.clone();
        let asked = tokio::task::spawn_blocking(move || database.log_generation());
        // A disk that hangs keeps that thread, but not the replay: what isn't known can wait.
        Box::pin(async { tokio::time::timeout(LOOK, asked).await.ok()?.ok()? })
    }
}

#[cfg(test)]
mod tests;
