//! Wrong indexes made anew from their tables (floor 1), on an operator's word.
//!
//! What must stay true: only a file that is isolated for indexes alone is touched, and nobody else uses it meanwhile; a
//! step is done whole or not at all, whatever happens to the process; the check of the whole file lets it back, nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};

use crate::clock;
use crate::db::classify::{Impact, classify_error};
use crate::db::database::Database;
use crate::db::deadline::{Limits, Scope};
use crate::db::disk::Space;
use crate::db::error::{DbError, ErrorKind};
use crate::db::reserve::RESERVE_BYTES;
use crate::db::verify::{Depth, Verdict, check, limit_of, replaced_indexes};
use crate::db::wait;

const NAME: &str = "health.reindex";
/// A file that is written anew is read, copied aside, and written to the log: a check only reads it.
const PASSES: u32 = 4;

impl Database {
    /// Makes the wrong indexes of an isolated file anew, checks the file and lets it back; gives their names. `None` when
    /// the file isn't isolated for wrong indexes alone. Goes on when the caller leaves. Where the file must be written anew,
    /// rows of a table that has neither an `INTEGER PRIMARY KEY` nor an index get other rowids, as by any `VACUUM`.
    ///
    /// # Errors
    /// SQLite's; FULL where the file must be written anew and there is no room for that; [`ErrorKind::Isolated`] when the
    /// check still finds something.
    pub async fn reindex(&self) -> Result<Option<Vec<String>>, DbError> {
        let database = self.clone();
        let made = wait::blocking(move || database.make_indexes_anew());
        made.await
            .unwrap_or_else(|_| Err(DbError::new(self.name(), NAME, ErrorKind::Panicked)))
    }

    fn make_indexes_anew(&self) -> Result<Option<Vec<String>>, DbError> {
        let wrong = self.inner.health.damage().map(|report| report.indexes);
        let Some(mut wrong) = wrong.filter(|names| !names.is_empty() && self.is_isolated()) else {
            return Ok(None);
        };
        let mut made = BTreeSet::new();
        let verdict = loop {
            self.make_anew(&wrong)?;
            made.extend(wrong);
            // A check that is stopped by one index doesn't see the others.
            match check(self.path(), self.owner(), Depth::Everything, &Arc::default()) {
                Verdict::Indexes { names, .. } if names.iter().any(|name| !made.contains(name)) => wrong = names,
                verdict => break verdict,
            }
        };
        if self.conclude(verdict) {
            return Ok(Some(made.into_iter().collect()));
        }
        let cause = self.cause();
        Err(DbError::new(self.name(), NAME, ErrorKind::Isolated { cause }))
    }

    fn make_anew(&self, names: &[String]) -> Result<(), DbError> {
        let made = self.on_own_connection(|writer| rebuild(writer, names))?;
        let made = match made {
            // Clearing it leads through its pages, and one of them can't be read.
            Err(error) if classify_error(&error).impact == Impact::Isolates => {
                // Another connection: this one takes the file for read-only from now on.
                self.on_own_connection(|writer| {
                    self.room_to_write_anew()?;
                    replace(writer, names)
                })?
            }
            other => other,
        };
        let done = match made {
            // Also what an earlier attempt came no further than to leave behind.
            Ok(()) => self.on_own_connection(|writer| {
                if replaced_indexes(writer)?.is_none() {
                    return Ok(());
                }
                self.room_to_write_anew()?;
                give_back(writer)
            })?,
            Err(error) => Err(error),
        };
        done.map_err(|error| DbError::from_sqlite(self.name(), NAME, &error))?;
        tracing::info!(database = self.name(), indexes = names.join(", "), "indexes made anew");
        Ok(())
    }

    fn room_to_write_anew(&self) -> rusqlite::Result<()> {
        let size = std::fs::metadata(self.path()).map_or(0, |meta| meta.len());
        let space = self.path().parent().and_then(Space::of);
        if space.is_none_or(|space| space.free_bytes >= 2 * size + RESERVE_BYTES) {
            return Ok(());
        }
        let text = "twice the file's size must be free to write it anew".to_owned();
        Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_FULL),
            Some(text),
        ))
    }

    /// Work on a connection that nobody uses afterwards.
    fn on_own_connection<T>(&self, work: impl FnOnce(&Connection) -> T) -> Result<T, DbError> {
        let until = clock::now() + limit_of(self.path()) * PASSES;
        let mut writer = self.inner.writer.shared.pool.checkout(NAME, until)?;
        let _scope = Scope::enter(Limits {
            deadline: until,
            lock_budget: self.settings().operation.lock_timeout,
            cancelled: None,
        });
        let done = work(&writer);
        writer.poison();
        Ok(done)
    }
}

/// All of them or none.
fn rebuild(writer: &Connection, names: &[String]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(writer, TransactionBehavior::Immediate)?;
    reindex(&transaction, names)?;
    transaction.commit()
}

fn reindex(transaction: &Transaction<'_>, names: &[String]) -> rusqlite::Result<()> {
    for name in names {
        // Without its schema, an index that is called like a collation would mean all that use that one.
        transaction.execute_batch(&format!("REINDEX main.\"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}

/// All of them or none, without a look at their old pages: each begins anew in an empty tree, borrowed from a spare index.
/// An index's tree says nothing of what it is for, so an empty one serves every index. The old pages belong to nobody
/// then; the spare table stays with the names until they are given back, so that the next check knows whose they were.
fn replace(writer: &Connection, names: &[String]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(writer, TransactionBehavior::Immediate)?;
    transaction.execute_batch("DROP TABLE IF EXISTS mainstay_spare; CREATE TABLE mainstay_spare(name)")?;
    for name in names {
        transaction.execute_batch(
            "CREATE INDEX mainstay_spare_tree ON mainstay_spare(name);
             PRAGMA writable_schema = ON",
        )?;
        transaction.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'mainstay_spare_tree')
             WHERE type = 'index' AND name = ?1",
            [name],
        )?;
        // The schema is read again before the next index begins, whose name and tree would be these.
        transaction.execute_batch(
            "DELETE FROM sqlite_schema WHERE name = 'mainstay_spare_tree';
             PRAGMA writable_schema = RESET",
        )?;
    }
    for name in names {
        transaction.execute("INSERT INTO mainstay_spare VALUES (?1)", [name])?;
    }
    reindex(&transaction, names)?;
    transaction.commit()
}

/// Gives back the pages that nothing leads to any more. The copy is as large as the database, so it is made in a file,
/// whatever is usual for temporary content.
fn give_back(writer: &Connection) -> rusqlite::Result<()> {
    writer.execute_batch("PRAGMA temp_store = FILE; VACUUM; DROP TABLE mainstay_spare")
}

#[cfg(test)]
mod tests;
