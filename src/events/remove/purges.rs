//! Removals on purpose (floor 2): begun with a receipt, carried out by one task, also after a restart.
//!
//! What must stay true: one runs at a time; what it does is in its receipt, so the task begins where the last commit ended;
//! a database that is in trouble is waited for, never taken for the end; only what trying again can't mend fails one.
//! The composition root starts it; the routes hold it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::receipts::{self, Asked, Kind, Receipt, Rest, Status, Unfinished};
use super::{Terms, confirm, erasure, remove};
use crate::clock::epoch_ms;
use crate::db::{Database, DbError, Effect, ErrorKind, Operation};
use crate::events::index::words::Field;
use crate::events::pipeline::complain;
use crate::events::{EventLog, query};

mod walk;

/// For so long who begins a removal waits for its end.
const PATIENCE: Duration = Duration::from_millis(800);
/// After a failure, and between looks at an index that is behind.
const PAUSE: Duration = Duration::from_millis(250);
/// Groups that one write job looks after.
const GROUPS_AT_ONCE: i64 = 50;

/// Why a removal of another version isn't carried on: a part of what it asks for might be left out, and too much leave.
const UNREADABLE: &str = "what it looks for was written by another version of Mainstay and can't be read; what had left is gone, begin it again";

/// The removals; clones share their task.
#[derive(Clone)]
pub struct Purges {
    database: Database,
    log: EventLog,
    wake: Arc<Notify>,
    ended: Arc<watch::Sender<()>>,
    /// The one that waits for the text index; 0 for none.
    waiting: Arc<AtomicI64>,
}

impl Purges {
    /// Starts the task on the present tokio runtime; what an earlier process began goes on.
    pub fn start(database: Database, log: EventLog) -> Self {
        let purges = Self {
            database,
            log,
            wake: Arc::default(),
            ended: Arc::new(watch::Sender::new(())),
            waiting: Arc::default(),
        };
        let task = purges.clone();
        tokio::spawn(async move {
            while AssertUnwindSafe(task.keep_on()).catch_unwind().await.is_err() {
                complain("the removal of events panicked and starts anew");
                tokio::time::sleep(PAUSE * 20).await;
            }
        });
        purges
    }

    /// Begins one and waits a moment for its end. The same again gives the one that runs, or that the token began. `None`
    /// when the groups that it means aren't those of the preview that it confirms.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn begin(&self, asked: Asked) -> Result<Option<Receipt>, DbError> {
        let Some(asked) = self.fixed(asked).await? else {
            return Ok(None);
        };
        let job = move |c: &Connection| {
            let mut asked = asked.clone();
            if asked.kind == Kind::Erasure {
                erasure::announce(c, &mut asked)?;
            }
            receipts::begin(c, &asked).map(Effect::Commit)
        };
        let mut ended = self.ended.subscribe();
        let id = self
            .database
            .write(Operation::write("events.purge_begin").idempotent(), job)
            .await?;
        self.wake.notify_one();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.get(id).await?;
            let is_running = found.as_ref().is_none_or(|receipt| receipt.status == Status::Running);
            let waited = is_running && tokio::time::timeout_at(until, ended.changed()).await.is_ok();
            if let (false, Some(receipt)) = (waited, found) {
                return Ok(Some(receipt));
            }
        }
    }

    /// The same with what its filter means now; `None` when a preview that it confirms saw something else.
    async fn fixed(&self, asked: Asked) -> Result<Option<Asked>, DbError> {
        if asked.kind != Kind::Purge {
            return Ok(Some(asked));
        }
        let read = move |c: &Connection| confirm::to_run(c, &asked);
        self.database.read(Operation::scan("events.purge_fix"), read).await
    }

    /// One receipt.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn get(&self, id: i64) -> Result<Option<Receipt>, DbError> {
        let read = move |c: &Connection| receipts::one(c, id);
        let found = self.database.read(Operation::point("events.purge_get"), read).await?;
        let waiting = self.waiting.load(Ordering::Relaxed);
        Ok(found.map(|receipt| receipt.waiting(waiting)))
    }

    /// Receipts with smaller numbers, the newest first.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn page(&self, before: i64, most: u32) -> Result<Vec<Receipt>, DbError> {
        let read = move |c: &Connection| receipts::page(c, before, most);
        let found = self.database.read(Operation::scan("events.purge_list"), read).await?;
        let waiting = self.waiting.load(Ordering::Relaxed);
        Ok(found.into_iter().map(|receipt| receipt.waiting(waiting)).collect())
    }

    /// Stops one; how it is then, `None` when there is none. An erasure is not stopped.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn cancel(&self, id: i64) -> Result<Option<Receipt>, DbError> {
        let job = move |c: &Connection| receipts::stop(c, id).map(Effect::Commit);
        let mut ended = self.ended.subscribe();
        let is_known = self
            .database
            .write(Operation::write("events.purge_cancel").idempotent(), job)
            .await?;
        self.wake.notify_one();
        if !is_known {
            return Ok(None);
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.get(id).await?;
            let is_running = found.as_ref().is_some_and(|receipt| receipt.status == Status::Running);
            if !is_running || tokio::time::timeout_at(until, ended.changed()).await.is_err() {
                return Ok(found);
            }
        }
    }

    /// Removes one event at once; its receipt, `None` when there is no such event.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn remove_one(&self, id: Uuid, mut asked: Asked) -> Result<Option<Receipt>, DbError> {
        asked.shown = serde_json::json!({ "id": id }).to_string();
        let job = move |c: &Connection| one_event(c, id, &asked);
        let operation = Operation::write("events.remove_one").idempotent();
        self.database.write(operation, job).await
    }

    /// Carries out what isn't at its end, until the database closes.
    async fn keep_on(&self) {
        loop {
            let read = |c: &Connection| receipts::unfinished(c);
            let done = match self.database.read(Operation::point("events.purge_next"), read).await {
                Ok(Some(one)) => self.carry_out(one).await,
                Ok(None) => {
                    self.wake.notified().await;
                    continue;
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => {
                    self.ended.send_replace(());
                }
                Err(error) if error.kind == ErrorKind::ShuttingDown => return,
                Err(_) => self.recover().await,
            }
        }
    }

    /// After a failure, which the database layer has told; while its breaker is open nothing is tried.
    async fn recover(&self) {
        tokio::time::sleep(PAUSE).await;
        while self.database.admits_write().is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn carry_out(&self, one: Unfinished) -> Result<(), DbError> {
        let id = one.id;
        let is_readable = !matches!(one.rest, Rest::Unreadable);
        let (status, error) = match self.steps(one).await {
            Ok(_) if !is_readable => (Status::Failed, Some(UNREADABLE)),
            Ok(error) => (Status::Done, error),
            Err(error) if is_hopeless(&error) => (Status::Failed, Some("a stored event could not be removed")),
            Err(error) => return Err(error),
        };
        let now_ms = epoch_ms(self.log.now());
        let job = move |c: &Connection| receipts::end(c, id, status, now_ms, error).map(Effect::Commit);
        self.write("events.purge_end", job).await
    }

    /// What is left of it to do; something to tell besides.
    async fn steps(&self, mut one: Unfinished) -> Result<Option<&'static str>, DbError> {
        let id = one.id;
        if let Rest::Matching(filter) = std::mem::replace(&mut one.rest, Rest::Nothing) {
            while let Some(wider) = self.go_through(&one, &filter).await? {
                (one.bound_ms, one.place) = (wider, i64::MAX);
            }
        }
        let settle = move |c: &Connection| receipts::settle_groups(c, id, GROUPS_AT_ONCE).map(Effect::Commit);
        while !self.write("events.purge_groups", settle).await? {}
        if one.kind == Kind::Erasure && !erasure::wipe(&self.database).await? {
            return Ok(Some(
                "a reader kept the write-ahead log from being cut; a later checkpoint does it",
            ));
        }
        Ok(None)
    }

    async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        job: impl FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    ) -> Result<T, DbError> {
        self.database
            .write(Operation::write(name).idempotent().in_background(), job)
            .await
    }
}

/// The user of an erasure's filter.
pub(super) fn user_of(filter: &query::Filter) -> Option<&str> {
    filter
        .values
        .iter()
        .find(|(field, _)| *field == Field::UserId)
        .map(|(_, user)| user.as_str())
}

/// What the stored data itself causes, or a bug that it wakes: trying again later would be no better.
fn is_hopeless(error: &DbError) -> bool {
    match error.kind {
        ErrorKind::Sqlite { code } => matches!(code & 0xff, 1 | 18..=20),
        ErrorKind::Panicked | ErrorKind::DamagedValue => true,
        _ => false,
    }
}

fn one_event(c: &Connection, id: Uuid, asked: &Asked) -> rusqlite::Result<Effect<Option<Receipt>>> {
    use rusqlite::OptionalExtension;
    let place: Option<i64> = c
        .prepare_cached("SELECT at FROM events WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(place) = place else {
        return Ok(Effect::Rollback(None));
    };
    let receipt = receipts::begin(c, asked)?;
    let taken = remove(c, &[place], Terms::default())?;
    receipts::advance(c, (receipt, asked.bound_ms), &taken, place)?;
    receipts::settle_groups(c, receipt, GROUPS_AT_ONCE)?;
    receipts::end(c, receipt, Status::Done, asked.now_ms, None)?;
    receipts::forget_singles(c)?;
    receipts::one(c, receipt).map(Effect::Commit)
}

#[cfg(test)]
mod tests;
