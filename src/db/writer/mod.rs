//! The writer (floor 1): one thread a file owns its only writing connection and commits for everybody at once.
//!
//! What must stay true: nobody is answered before the commit that holds their job is on disk; the queue is bounded
//! and refuses with a reason; one attempt of a batch is one call to the breaker, however many jobs it holds; at
//! shutdown the queue is drained before the file is closed. Called by `Database::write` and the probe.

mod batch;
mod fence;
mod gather;
mod job;
mod pace;
mod permits;
mod repeat;
mod underway;
mod upkeep;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use self::job::Turn;
use self::job::{Carried, Job, TypedJob};
pub use self::underway::Underway;
use super::active::{Active, Caller};
use super::breaker::{Breaker, Permit};
use super::checkpoint::Alarm;
use super::error::{DbError, ErrorKind};
use super::observe::Observer;
use super::operation::{Effect, Operation};
use super::pool::ConnectionPool;
use super::retry::Budget;
use super::room::Room;
use super::sequence::Sequence;
use super::statements::Statements;
use crate::clock::{self, SharedClock};
use crate::config::DatabaseSettings;
use crate::quantiles::Quantiles;
use crate::rate::MinuteRate;

/// Jobs that may wait; the next one is refused.
pub const QUEUE_CAPACITY: usize = 4096;
/// Bytes that jobs may carry together, from their admission to their answer: a document may have a mebibyte.
const QUEUE_BYTES: usize = 64 << 20;

/// What the writer's thread and its callers share.
pub struct Shared {
    pub(super) database: &'static str,
    pub(super) settings: DatabaseSettings,
    pub(super) breaker: Arc<Breaker>,
    pub(super) read_breaker: Arc<Breaker>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) pool: ConnectionPool,
    pub(super) budget: Arc<Budget>,
    pub(super) active: Arc<Active>,
    pub(super) metrics: Metrics,
    pub(super) underway: Underway,
    pub(super) stop: Stop,
    /// Told of every failed attempt, so that a full disk is known at once.
    pub(super) room: Room,
    pub(super) statements: Arc<Statements>,
    pub(super) clock: SharedClock,
    /// Rung when the log has grown.
    pub(super) log_alarm: Arc<Alarm>,
}

/// Counters and recent sizes and times.
pub struct Metrics {
    pub(super) queued: AtomicUsize,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    pub(super) in_hand: AtomicUsize,
    pub(super) refused: AtomicU64,
    pub(super) turned_away: MinuteRate,
    pub(super) commits: AtomicU64,
    pub(super) jobs: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) gave_up: AtomicU64,
    pub(super) batch_limit: AtomicUsize,
    pub(super) batch_size: Quantiles,
    pub(super) commit_time: Quantiles,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            queued: AtomicUsize::default(),
            queued_bytes: Arc::default(),
            in_hand: AtomicUsize::default(),
            refused: AtomicU64::default(),
            turned_away: MinuteRate::starting_at(clock::now()),
            commits: AtomicU64::default(),
            jobs: AtomicU64::default(),
            retries: AtomicU64::default(),
            gave_up: AtomicU64::default(),
            batch_limit: AtomicUsize::default(),
            batch_size: Quantiles::default(),
            commit_time: Quantiles::default(),
        }
    }
}

/// Ends backoff sleeps at shutdown.
#[derive(Default)]
pub struct Stop {
    stopping: Mutex<bool>,
    woken: Condvar,
    told: tokio::sync::Notify,
}

impl Stop {
    fn raise(&self) {
        *self.stopping.lock() = true;
        self.woken.notify_all();
        self.told.notify_waiters();
    }

    /// Comes back when shutdown has begun.
    pub(super) async fn raised(&self) {
        let told = self.told.notified();
        tokio::pin!(told);
        // Registered before the look, so that what is raised in between is not missed.
        told.as_mut().enable();
        if !*self.stopping.lock() {
            told.await;
        }
    }

    /// Sleeps; `true` when shutdown cut the sleep short.
    fn sleep(&self, delay: Duration) -> bool {
        #[cfg(test)]
        if super::simulation::is_running() {
            clock::sleep(delay);
            return *self.stopping.lock();
        }
        let mut stopping = self.stopping.lock();
        let until = clock::now() + delay;
        while !*stopping && !self.woken.wait_until(&mut stopping, until).timed_out() {}
        *stopping
    }
}

/// The handle.
pub struct Writer {
    pub(super) shared: Arc<Shared>,
    queue: RwLock<Option<SyncSender<Box<dyn Job>>>>,
    thread: std::thread::JoinHandle<()>,
}

/// A writer without a thread, which a simulation runs turn by turn.
#[cfg(test)]
pub struct Unattended {
    desk: Mutex<worker::Desk>,
    queue: std::sync::mpsc::Receiver<Box<dyn Job>>,
}

#[cfg(test)]
impl Unattended {
    /// Runs one batch, if anything is queued.
    pub fn turn(&self) -> bool {
        // Taken while it runs: its own sleep gave somebody else this turn.
        self.desk.try_lock().is_some_and(|mut desk| desk.turn(&self.queue))
    }

    /// What the thread does once the queue is closed.
    pub fn finish(&self) {
        worker::run(&mut self.desk.lock(), &self.queue);
    }
}

/// A submitted job's answer and its turn.
pub struct Submitted<T> {
    pub(super) answer: oneshot::Receiver<Result<T, DbError>>,
    pub(super) turn: Turn,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    pub fn start(shared: Arc<Shared>, sequence: Sequence) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_CAPACITY);
        let mut desk = worker::Desk::new(Arc::clone(&shared), sequence);
        #[cfg(test)]
        if super::simulation::is_running() {
            super::simulation::adopt(Unattended {
                desk: Mutex::new(desk),
                queue: receiver,
            });
            let (queue, thread) = (RwLock::new(Some(sender)), std::thread::spawn(|| ()));
            // Whoever closes looks at it: how soon the machine ends it shall not count.
            while !thread.is_finished() {
                std::thread::yield_now();
            }
            return Ok(Self { shared, queue, thread });
        }
        let thread = std::thread::Builder::new()
            .name(format!("{}-writer", shared.database))
            .spawn(move || worker::run(&mut desk, &receiver))?;
        Ok(Self {
            shared,
            queue: RwLock::new(Some(sender)),
            thread,
        })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// [`ErrorKind::QueueFull`], or [`ErrorKind::ShuttingDown`].
    pub fn submit<T, F>(
        &self,
        operation: Operation,
        caller: Caller,
        deadline: Instant,
        permit: Permit,
        work: F,
    ) -> Result<Submitted<T>, DbError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    {
        let metrics = &self.shared.metrics;
        let Some(carried) = Carried::within(&metrics.queued_bytes, operation.bytes, QUEUE_BYTES) else {
            metrics.refused.fetch_add(1, Ordering::Relaxed);
            let refused = DbError::new(self.shared.database, operation.name, ErrorKind::QueueFull);
            return Err(refused.with_detail(format!("{} MiB of changes wait", QUEUE_BYTES >> 20)));
        };
        let (reply, answer) = oneshot::channel();
        let turn = Turn::default();
        let job = TypedJob {
            operation,
            caller,
            deadline,
            turn: turn.clone(),
            permit: Some(permit),
            work,
            carried: Some(carried),
            uncertain: false,
            value: None,
            reply,
        };
        let refuse = |kind| Err(DbError::new(self.shared.database, operation.name, kind));
        let queue = self.queue.read();
        let Some(sender) = queue.as_ref() else {
            return refuse(ErrorKind::ShuttingDown);
        };
        // Counted first: the thread may take the job before this one goes on.
        metrics.queued.fetch_add(1, Ordering::Relaxed);
        match sender.try_send(Box::new(job)) {
            Ok(()) => Ok(Submitted { answer, turn }),
            Err(error) => {
                metrics.queued.fetch_sub(1, Ordering::Relaxed);
                metrics.refused.fetch_add(1, Ordering::Relaxed);
                metrics.turned_away.add(clock::now(), 1);
                refuse(if matches!(error, TrySendError::Full(_)) {
                    ErrorKind::QueueFull
                } else {
                    ErrorKind::ShuttingDown
                })
            }
        }
    }

    /// Stops admission, ends backoff sleeps, drains the queue and waits for the thread, at most `patience`. Blocking.
    pub fn close(&self, patience: Duration) {
        drop(self.queue.write().take());
        self.shared.stop.raise();
        // Whoever closes waits, also the second one.
        let until = clock::now() + patience;
        while !self.thread.is_finished() && clock::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
