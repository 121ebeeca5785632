//! The event log's handle (floor 2): ingest, account, live events, ordered end.
//!
//! What must stay true: an outcome `Stored` or `Spooled` is given only after the event is on disk; dropping an ingest half way leaves
//! the ledger balanced. The composition root starts it; handlers and the statistics use clones.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::capture::{Captured, Captures};
use super::clients::Clients;
use super::ledger::{DropReason, LedgerSnapshot};
use super::model::ErrorEvent;
use super::pipeline::{BATCH, IngestOutcome, Pipeline, complain};
use super::sink::{DatabaseSink, Sink};
use super::spool::{Spool, SpoolStatus};
use super::storm::{Groups, Limits, Refusal, Reporter, Status, Storm, Turn};
use super::wire::LoggedEvent;
use super::worker::Flush;
use super::{index, replay, worker};
use crate::clock::epoch_ms;
use crate::config::{IngestSettings, OperationSettings};
use crate::db::Database;

mod together;

/// Between a panic of the replay and its next start.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// The event log; clones share it.
#[derive(Clone)]
pub struct EventLog {
    pub(super) pipeline: Arc<Pipeline>,
    flushes: mpsc::Sender<Flush>,
    clients: Arc<Clients>,
    limits: Option<Arc<Limits>>,
    storms: Arc<Status>,
}

impl EventLog {
    /// Starts the tasks on the present tokio runtime: captured events, and the replay of what the spool holds. Without
    /// limits: no source is refused, no group is thinned.
    pub fn start(database: Database, spool: Spool, captures: Captures, operation: &OperationSettings) -> Self {
        let groups = Groups::new(u32::MAX, Arc::default());
        let sink = DatabaseSink::new(database.clone(), operation, groups);
        Self::with_sink(Box::new(sink), spool, captures).indexing(database)
    }

    /// The same with limits by source and by group.
    pub fn start_limited(
        database: Database,
        spool: Spool,
        captures: Captures,
        operation: &OperationSettings,
        ingest: &IngestSettings,
    ) -> Self {
        let storms = Arc::<Status>::default();
        let groups = Groups::new(ingest.per_group, Arc::clone(&storms));
        let sink = DatabaseSink::new(database.clone(), operation, groups);
        let mut log = Self::with_sink(Box::new(sink), spool, captures);
        log.limit(ingest.per_source, storms);
        log.indexing(database)
    }

    fn limit(&mut self, per_source: u32, storms: Arc<Status>) {
        self.limits = Some(Arc::new(Limits::new(per_source, self.pipeline.clock.now())));
        self.storms = storms;
    }

    fn indexing(self, database: Database) -> Self {
        let stopping = self.pipeline.stopping.subscribe();
        tokio::spawn(keep_indexing(database, self.pipeline.clone(), stopping));
        self
    }

    fn with_sink(sink: Box<dyn Sink>, spool: Spool, captures: Captures) -> Self {
        let Captures {
            clock,
            ledger,
            receiver,
        } = captures;
        let pipeline = Arc::new(Pipeline::new(sink, spool, ledger, clock));
        let (flushes, flush_requests) = mpsc::channel(1);
        let stop = pipeline.stopping.subscribe();
        tokio::spawn(keep_working(pipeline.clone(), receiver, flush_requests));
        tokio::spawn(keep_replaying(pipeline.clone(), stop));
        Self {
            pipeline,
            flushes,
            clients: Arc::default(),
            limits: None,
            storms: Arc::default(),
        }
    }

    /// Brings events to the disk that pass their source's limit; the outcomes are in their order.
    pub async fn report(&self, reporter: Reporter<'_>, mut events: Vec<ErrorEvent>) -> Vec<IngestOutcome> {
        let refusals = self.refusals(reporter, &events);
        if refusals.is_empty() {
            return self.ingest(events).await;
        }
        let (count, refused) = (events.len(), refusals.len() as u64);
        self.pipeline
            .ledger
            .admit(refused)
            .dropped(DropReason::RateLimited, refused);
        leave_out(&mut events, &refusals);
        let passed = self.ingest(events).await;
        put_back(passed, refusals, count)
    }

    /// The events that are too many for their sources, by their places in the list.
    fn refusals(&self, reporter: Reporter<'_>, events: &[ErrorEvent]) -> Vec<(usize, Refusal)> {
        let Some(limits) = &self.limits else {
            return Vec::new();
        };
        let now = self.pipeline.clock.now();
        let judge = |event: &ErrorEvent| limits.take(reporter, event.source.as_deref(), now).err();
        let judged = events.iter().enumerate();
        judged
            .filter_map(|(place, event)| Some((place, judge(event)?)))
            .collect()
    }

    /// Events that were refused because their sources sent too many, since the start, by source.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        self.limits.as_ref().map(|limits| limits.refused()).unwrap_or_default()
    }

    /// The groups that are in a storm.
    pub fn storms(&self) -> Vec<Storm> {
        self.storms.storms()
    }

    /// Beginnings and ends of storms since the last call.
    pub fn turns_of_storms(&self) -> Vec<Turn> {
        self.storms.turns(epoch_ms(self.now()))
    }

    /// Brings events to the disk, whatever their sources have sent already; the outcomes are in their order. Events of one
    /// call are stored in their order; some may be stored while others are spooled.
    pub async fn ingest(&self, events: Vec<ErrorEvent>) -> Vec<IngestOutcome> {
        if events.len() <= BATCH {
            let admission = self.pipeline.ledger.admit(events.len() as u64);
            return self.pipeline.deliver(events, admission).await;
        }
        together::ingest(&self.pipeline, events).await
    }

    /// What SDKs tell of themselves.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The account now.
    pub fn ledger(&self) -> LedgerSnapshot {
        self.pipeline.ledger.snapshot()
    }

    /// The spool now.
    pub fn spool_status(&self) -> SpoolStatus {
        self.pipeline.spool.status()
    }

    /// Waits a moment, where that can help, until searches find all that was stored before; how many they don't find yet.
    pub async fn catch_up(&self) -> u64 {
        self.pipeline.backlog.catch_up().await
    }

    /// Stored events that searches don't find yet.
    pub fn unindexed(&self) -> u64 {
        self.pipeline.backlog.pending()
    }

    /// Events that came in during the last 60 seconds and are on disk.
    pub fn per_minute(&self) -> u64 {
        self.pipeline.rate.per_minute(self.pipeline.clock.now())
    }

    /// Events from now on, as they become part of events.db; a slow receiver is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LoggedEvent>> {
        self.pipeline.live.subscribe()
    }

    /// The wall clock by which events are dated.
    pub fn now(&self) -> Timestamp {
        self.pipeline.clock.wall()
    }

    /// The ordered end, after admission has stopped: replay stops, captured events get their outcome, the spool is synced.
    /// Whether all of it was done within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.pipeline.stopping.send_replace(true);
        let flush = async {
            let (answer, answered) = oneshot::channel();
            if self.flushes.send(answer).await.is_ok() {
                // A worker that ended has nothing left to flush.
                let _ = answered.await;
            }
            self.pipeline.spool.barrier().await;
        };
        tokio::time::timeout(limit, flush).await.is_ok()
    }
}

/// Leaves out the events of these places.
fn leave_out(events: &mut Vec<ErrorEvent>, refusals: &[(usize, Refusal)]) {
    let (mut number, mut places) = (0, refusals.iter().map(|(place, _)| *place).peekable());
    events.retain(|_| {
        let passes = places.next_if_eq(&number).is_none();
        number += 1;
        passes
    });
}

/// The outcomes of `count` events: those that were refused at their places, the others in between.
fn put_back(passed: Vec<IngestOutcome>, refusals: Vec<(usize, Refusal)>, count: usize) -> Vec<IngestOutcome> {
    let (mut passed, mut refusals) = (passed.into_iter(), refusals.into_iter().peekable());
    let outcome = |number| match refusals.next_if(|(place, _)| *place == number) {
        Some((_, refusal)) => Some(IngestOutcome::RateLimited(refusal)),
        None => passed.next(),
    };
    (0..count).filter_map(outcome).collect()
}

/// The capture worker; a panic costs the batch it happened in, which the ledger counts, and nothing else.
async fn keep_working(
    pipeline: Arc<Pipeline>,
    mut captures: mpsc::Receiver<Captured>,
    mut flushes: mpsc::Receiver<Flush>,
) {
    while AssertUnwindSafe(worker::run(&pipeline, &mut captures, &mut flushes))
        .catch_unwind()
        .await
        .is_err()
    {
        complain("the worker panicked and starts anew");
    }
}

/// The replay; after a panic it waits and starts the segment anew, which changes nothing that was stored.
async fn keep_replaying(pipeline: Arc<Pipeline>, stopping: watch::Receiver<bool>) {
    while AssertUnwindSafe(replay::run(&pipeline, stopping.clone()))
        .catch_unwind()
        .await
        .is_err()
    {
        complain("the replay of the spool panicked and starts anew");
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

/// The text index; after a panic it waits and goes on, which indexes nothing twice.
async fn keep_indexing(database: Database, pipeline: Arc<Pipeline>, stopping: watch::Receiver<bool>) {
    while AssertUnwindSafe(index::run(&database, &pipeline.backlog, stopping.clone()))
        .catch_unwind()
        .await
        .is_err()
    {
        complain("the text index panicked and starts anew");
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

#[cfg(test)]
mod tests;
