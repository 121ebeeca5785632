//! The one way of an event to the disk (floor 2): events.db, else the spool, else counted as dropped.
//!
//! What must stay true: every event that enters leaves with one outcome, and the ledger moves with it; whatever events.db
//! answers besides "stored" sends the batch to the spool, where replay is harmless because ids are unique. Ingest and the capture
//! worker both come through here. Failures of this path go to stderr and to the ledger, never to capture.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

use super::index::Backlog;
use super::ledger::{Admission, DropReason, Ledger};
use super::model::ErrorEvent;
use super::sink::Sink;
use super::spool::{Records, Spool, SpoolError};
use super::store::{Inserted, Prepared};
use super::storm::Refusal;
use super::wire::LoggedEvent;
use crate::clock::SharedClock;
use crate::db::{DbError, ErrorKind};
use crate::rate::MinuteRate;

/// Most events of one write job.
pub(super) const BATCH: usize = 256;
/// When to come back if nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long events.db may take for a batch once the log is being ended: what it has not taken by then is spooled.
const AT_THE_END: Duration = Duration::from_millis(250);
/// Most events whose outcome is remembered as unknown.
const MOST_UNCERTAIN: usize = 100_000;

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestOutcome {
    /// It is in events.db.
    Stored {
        /// Its group.
        group_id: i64,
    },
    /// It is counted in events.db on another event of its group, which is in a storm.
    Counted {
        /// Its group.
        group_id: i64,
        /// The event that stands for it.
        sample: Uuid,
    },
    /// It is in the spool and will be in events.db when that recovers.
    Spooled,
    /// An event with its id was there already.
    Duplicate,
    /// Its source sent too many.
    RateLimited(Refusal),
    /// Neither could take it.
    NotAccepted {
        /// When to send it again.
        retry_after: Duration,
    },
}

type Written = Result<Vec<Inserted>, DbError>;
type Outcomes = Vec<IngestOutcome>;

/// What the tasks of the event log share.
pub(super) struct Pipeline {
    pub(super) sink: Box<dyn Sink>,
    pub(super) spool: Spool,
    pub(super) ledger: Ledger,
    pub(super) clock: SharedClock,
    pub(super) rate: MinuteRate,
    pub(super) live: broadcast::Sender<Arc<LoggedEvent>>,
    /// Marked whenever events became part of events.db.
    pub(super) stored: watch::Sender<()>,
    /// What the text index doesn't know yet.
    pub(super) backlog: Arc<Backlog>,
    /// The spool was empty and no longer is.
    pub(super) filled: Notify,
    /// A write went well while the spool holds something.
    pub(super) recovered: Notify,
    /// Whether the log is being ended.
    pub(super) stopping: watch::Sender<bool>,
    /// Ids of events of which it isn't known whether events.db has them.
    uncertain: Mutex<HashSet<Uuid>>,
}

impl Pipeline {
    pub(super) fn new(sink: Box<dyn Sink>, spool: Spool, ledger: Ledger, clock: SharedClock) -> Self {
        const LIVE_EVENTS: usize = 1024;
        let found = spool.status();
        ledger.found_in_spool(found.events + found.lost_before_start);
        ledger.lost_from_spool(found.lost_before_start);
        let rate = MinuteRate::starting_at(clock.now());
        let (live, _) = broadcast::channel(LIVE_EVENTS);
        Self {
            sink,
            spool,
            ledger,
            clock,
            rate,
            live,
            stored: watch::Sender::new(()),
            backlog: Backlog::new(),
            filled: Notify::new(),
            recovered: Notify::new(),
            stopping: watch::Sender::new(false),
            uncertain: Mutex::default(),
        }
    }

    /// Events as the writer wants them.
    pub(super) fn prepare(&self, events: Vec<ErrorEvent>) -> Arc<Vec<Prepared>> {
        Arc::new(events.into_iter().map(Prepared::new).collect())
    }

    /// Brings one batch to the disk; the outcomes are in its order.
    pub(super) async fn deliver(&self, events: Vec<ErrorEvent>, mut admission: Admission) -> Vec<IngestOutcome> {
        if events.is_empty() {
            return Vec::new();
        }
        let batch = self.prepare(events);
        let written = self.sink.write(batch.clone()).await;
        self.settle(&batch, written, &mut admission).await
    }

    /// The same for captured events, which nobody waits for: once the log is being ended, events.db has a moment to take
    /// them, or none where `at_once` says that it was slow before; then they are spooled. Gives whether it was slow.
    pub(super) async fn deliver_captured(
        &self,
        events: Vec<ErrorEvent>,
        mut admission: Admission,
        at_once: bool,
    ) -> bool {
        let error = |kind| Err(DbError::new("events", "events.ingest", kind));
        let batch = self.prepare(events);
        let (written, was_slow) = if at_once {
            (error(ErrorKind::ShuttingDown), true)
        } else {
            tokio::select! {
                written = self.sink.write(batch.clone()) => (written, false),
                () = self.end_of_patience() => (error(ErrorKind::OutcomeUnknown), true),
            }
        };
        self.settle(&batch, written, &mut admission).await;
        was_slow
    }

    /// A moment after the log's end was begun.
    async fn end_of_patience(&self) {
        // Its sender lives as long as this.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
        tokio::time::sleep(AT_THE_END).await;
    }

    /// Moves a batch in the account by what became of it; one that events.db didn't take goes to the spool.
    pub(super) async fn settle(&self, batch: &[Prepared], written: Written, admission: &mut Admission) -> Outcomes {
        match written {
            Ok(inserted) => self.settle_stored(batch, &inserted, admission),
            Err(error) => self.fall_back(batch, &error, admission).await,
        }
    }

    fn settle_stored(
        &self,
        batch: &[Prepared],
        inserted: &[Inserted],
        admission: &mut Admission,
    ) -> Vec<IngestOutcome> {
        let Sums { rows, counted, known } = Sums::of(inserted);
        let stored = rows + counted;
        self.backlog.add(rows);
        admission.stored(rows);
        admission.counted(counted);
        admission.duplicate(known);
        self.rate.add(self.clock.now(), stored);
        self.tell_live(batch, inserted);
        if !self.spool.is_empty() {
            self.recovered.notify_one();
        }
        let outcome = |one: &Inserted| match *one {
            Inserted::New { group_id } => IngestOutcome::Stored { group_id },
            Inserted::Counted { group_id, sample } => IngestOutcome::Counted { group_id, sample },
            Inserted::Duplicate => IngestOutcome::Duplicate,
        };
        inserted.iter().map(outcome).collect()
    }

    /// Remembers events of which it isn't known whether events.db has them, until their replay tells.
    pub(super) fn note_uncertain(&self, batch: &[Prepared], error: &DbError) {
        if !error.nothing_done() {
            let mut uncertain = self.uncertain.lock();
            // Past the bound the account calls them duplicates, which is the milder error.
            let room = MOST_UNCERTAIN.saturating_sub(uncertain.len());
            uncertain.extend(batch.iter().take(room).map(|one| one.event.id));
        }
    }

    /// Moves replayed events in the account. One that was there already came twice, unless it was our own write whose
    /// outcome wasn't known.
    pub(super) fn settle_replayed(&self, batch: &[Prepared], inserted: &[Inserted]) {
        let mut uncertain = self.uncertain.lock();
        let came_twice = |(one, inserted): &(&Prepared, &Inserted)| {
            **inserted == Inserted::Duplicate && !uncertain.remove(&one.event.id)
        };
        let duplicates = batch.iter().zip(inserted).filter(came_twice).count() as u64;
        drop(uncertain);
        let Sums { rows, counted, .. } = Sums::of(inserted);
        self.backlog.add(rows);
        self.ledger
            .replayed(batch.len() as u64 - duplicates, counted, duplicates);
        self.tell_live(batch, inserted);
    }

    async fn fall_back(&self, batch: &[Prepared], error: &DbError, admission: &mut Admission) -> Vec<IngestOutcome> {
        let count = batch.len() as u64;
        self.note_uncertain(batch, error);
        let outcome = match self.append(batch).await {
            Ok(()) => {
                admission.spooled(count);
                self.rate.add(self.clock.now(), count);
                self.filled.notify_one();
                IngestOutcome::Spooled
            }
            Err(refused) => {
                let reason = match refused {
                    SpoolError::Full | SpoolError::DiskFull => DropReason::SpoolFull,
                    SpoolError::Failed => DropReason::SpoolFailed,
                };
                admission.dropped(reason, count);
                complain(&format!("{count} events were not kept ({}); {error}", reason.name()));
                IngestOutcome::NotAccepted {
                    retry_after: error.retry_after.unwrap_or(RETRY_AFTER),
                }
            }
        };
        vec![outcome; batch.len()]
    }

    /// Into the spool; on a full disk once more, where room was held back for this moment.
    async fn append(&self, batch: &[Prepared]) -> Result<(), SpoolError> {
        let records = || Records::of(batch.iter().map(|one| &one.event));
        match self.spool.append(records()).await {
            Err(SpoolError::DiskFull) if self.sink.disk_was_full().await => self.spool.append(records()).await,
            done => done,
        }
    }

    /// Tells whoever listens which events are new in events.db.
    pub(super) fn tell_live(&self, batch: &[Prepared], inserted: &[Inserted]) {
        self.stored.send_replace(());
        if self.live.receiver_count() == 0 {
            return;
        }
        for (prepared, one) in batch.iter().zip(inserted) {
            if let Inserted::New { group_id } = *one {
                let event = prepared.event.clone();
                let logged = LoggedEvent {
                    event,
                    group_id: Some(group_id),
                    occurrences: 1,
                    spooled: false,
                };
                // Without a receiver there is nobody to miss it.
                let _ = self.live.send(Arc::new(logged));
            }
        }
    }
}

/// What became of a batch's events, in numbers.
#[derive(Default)]
struct Sums {
    rows: u64,
    counted: u64,
    known: u64,
}

impl Sums {
    fn of(inserted: &[Inserted]) -> Self {
        let mut sums = Self::default();
        for one in inserted {
            match one {
                Inserted::New { .. } => sums.rows += 1,
                Inserted::Counted { .. } => sums.counted += 1,
                Inserted::Duplicate => sums.known += 1,
            }
        }
        sums
    }
}

/// One line for the operator: the event path can't report its own failures as events.
pub(super) fn complain(text: &str) {
    // Not by eprintln!, which panics when standard error is a file on the disk that is full.
    let _ = writeln!(std::io::stderr(), "mainstay: event log: {text}");
}
