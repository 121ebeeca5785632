//! A removal's way through the events that it wants (floor 2).
//!
//! What must stay true: what was gone through is in the receipt with what left; an event that the text index doesn't know
//! yet is not passed over. Called by the removals' task.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::super::receipts::{self, Kind, Unfinished};
use super::super::{Beside, Pace, Terms, erasure, in_chunks, preview};
use super::{PAUSE, Purges, user_of};
use crate::db::{DbError, Effect, Operation};
use crate::events::query;

impl Purges {
    /// Removes what matches; a wider bound, where more is wanted by now.
    pub(super) async fn go_through(&self, one: &Unfinished, filter: &query::Filter) -> Result<Option<i64>, DbError> {
        self.walk(one, filter).await?;
        let (id, bound_ms) = (one.id, one.bound_ms);
        if one.kind == Kind::Erasure {
            erasure::leave_groups(&self.database, id, user_of(filter).unwrap_or_default()).await?;
        }
        let walked = move |c: &Connection| receipts::walked(c, id, bound_ms).map(Effect::Commit);
        self.write("events.purge_walked", walked).await
    }

    async fn walk(&self, one: &Unfinished, filter: &query::Filter) -> Result<(), DbError> {
        let terms = Terms {
            received_until_ms: one.bound_ms,
            stored_until: filter.stored_until.unwrap_or(i64::MAX),
            ..Terms::default()
        };
        if one.kind == Kind::Erasure {
            // First those that the index doesn't have: it has by then what leaves the queue meanwhile.
            self.walk_unindexed(one, filter, terms).await?;
        } else {
            while filter.needs_index() && self.log.catch_up().await > 0 {
                self.waiting.store(one.id, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            self.waiting.store(0, Ordering::Relaxed);
        }
        let (receipt, mut pace, mut before) = ((one.id, one.bound_ms), Pace::default(), one.place);
        let beside: Beside = Arc::new(move |c, taken, last| receipts::advance(c, receipt, taken, last));
        loop {
            let filter = filter.clone();
            let read =
                move |c: &Connection| query::places(c, &filter, (before, preview::ROUND), terms.received_until_ms);
            let (places, next) = self.database.read(Operation::scan("events.purge_find"), read).await?;
            let operation = Operation::write("events.purge").in_background();
            let beside = Some(Arc::clone(&beside));
            let (_, goes_on) = in_chunks(&self.database, operation, &places, terms, &mut pace, beside).await?;
            match next.filter(|_| goes_on) {
                Some(next) => before = next,
                None => return Ok(()),
            }
        }
    }

    /// What waits for the text index, by its rows: while more comes than is indexed that may last, and a user who is to be
    /// erased doesn't wait for it.
    async fn walk_unindexed(&self, one: &Unfinished, filter: &query::Filter, terms: Terms) -> Result<(), DbError> {
        let (receipt, place) = ((one.id, one.bound_ms), one.place);
        let beside: Beside = Arc::new(move |c, taken, _| receipts::advance(c, receipt, taken, place));
        let (mut pace, mut before) = (Pace::default(), i64::MAX);
        loop {
            let user = user_of(filter).unwrap_or_default().to_owned();
            let read = move |c: &Connection| erasure::unindexed(c, &user, before);
            let (places, next) = self.database.read(Operation::scan("events.purge_find"), read).await?;
            let operation = Operation::write("events.purge").in_background();
            let beside = Some(Arc::clone(&beside));
            let (_, goes_on) = in_chunks(&self.database, operation, &places, terms, &mut pace, beside).await?;
            match next.filter(|_| goes_on) {
                Some(next) => before = next,
                None => return Ok(()),
            }
        }
    }
}
