//! Events of a file into events.db (floor 2): through a running log, or into a file that nobody serves.
//!
//! They are not of now: no limit of a source, no thinning of a storm, no live stream, and not the spool, whose room is for
//! what can't be sent again. What must stay true: an answer means that all of them are on disk; after an error some may be,
//! and sending all of them again takes each in once, because ids decide.

use std::sync::Arc;

use super::log::EventLog;
use super::parse::Exported;
use super::pipeline::BATCH;
use super::sink::{DatabaseSink, Sink};
use super::store::{Inserted, Prepared};
use super::storm::Groups;
use crate::config::OperationSettings;
use crate::db::{Database, DbError};

impl EventLog {
    /// Takes events of a file in; for each whether it is new. Up to 256 are taken in together or not at all.
    ///
    /// # Errors
    /// events.db didn't take all of them; those that it took are known when they are sent again.
    pub async fn import(&self, events: Vec<Exported>) -> Result<Vec<bool>, DbError> {
        let pipeline = &self.pipeline;
        let account = |new: u64, known: u64| {
            pipeline.backlog.add(new);
            let mut admission = pipeline.ledger.admit(new + known);
            admission.stored(new);
            admission.duplicate(known);
        };
        take(&*pipeline.sink, events, account).await
    }
}

/// Takes events into a file that nobody else uses: no server runs on it.
pub struct Importer(DatabaseSink);

impl Importer {
    /// For events.db. Needs a tokio runtime.
    pub fn new(database: Database, operation: &OperationSettings) -> Self {
        let groups = Groups::new(u32::MAX, Arc::default());
        Self(DatabaseSink::new(database, operation, groups))
    }

    /// As [`EventLog::import`].
    ///
    /// # Errors
    /// The same.
    pub async fn import(&self, events: Vec<Exported>) -> Result<Vec<bool>, DbError> {
        take(&self.0, events, |_, _| {}).await
    }
}

/// Tells `account` of each batch how many of it are new, and how many were known.
async fn take(
    sink: &dyn Sink,
    mut events: Vec<Exported>,
    account: impl Fn(u64, u64) + Send,
) -> Result<Vec<bool>, DbError> {
    let mut are_new = Vec::with_capacity(events.len());
    while !events.is_empty() {
        let rest = events.split_off(events.len().min(BATCH));
        let batch = std::mem::replace(&mut events, rest);
        let prepared = |one: Exported| Prepared::imported(one.event, one.occurrences);
        let inserted = sink.write(Arc::new(batch.into_iter().map(prepared).collect())).await?;
        let before = are_new.len();
        are_new.extend(inserted.iter().map(|one| matches!(one, Inserted::New { .. })));
        let new = are_new[before..].iter().filter(|is_new| **is_new).count();
        account(new as u64, (are_new.len() - before - new) as u64);
    }
    Ok(are_new)
}
