//! Writes that take effect once however often they are sent (floor 1): the ledger of keys.
//!
//! What must stay true: an answer is kept in the transaction of the effect it answers for, so either both are there or
//! neither; what a job refused is not kept, because it changed nothing and may go well later; a key that comes with
//! another request is never taken for the first one. The ledger is bounded by age, count and bytes, and each new entry
//! removes more old ones than it adds, so it shrinks without anybody's help. Called by `Database::write_once` and the
//! writer.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::operation::Effect;

/// How long an answer is kept, unless the ledger's other bounds are reached before.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Most answers kept.
const MOST_ANSWERS: i64 = 100_000;
/// Most bytes of answers kept.
const MOST_BYTES: i64 = 64 << 20;
/// Removed with each new entry, at most.
const WITH_EACH: i64 = 16;
/// Removed at once by an idle writer, at most: some milliseconds.
const WHEN_IDLE: i64 = 256;

/// What makes a request recognisable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The caller's key, within whatever scope the program gives it.
    pub key: String,
    /// A digest of everything that the request asks for.
    pub fingerprint: [u8; 32],
}

impl Once {
    /// For a request whose whole content is `request`.
    pub fn of(key: impl Into<String>, request: &[u8]) -> Self {
        Self {
            key: key.into(),
            fingerprint: Sha256::digest(request).into(),
        }
    }
}

/// What became of a write under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered<T> {
    /// It was done now.
    First(T),
    /// It had been done before: the answer of that time.
    Again(T),
    /// The key belongs to another request; nothing was done.
    Mismatch,
}

/// Runs a job unless the ledger has its answer. Inside the writer's transaction. `has_run` is kept between the attempts
/// of one call: an answer that this very call left there, in an attempt that was committed unknown to us, is the first.
pub(super) fn run<T, F>(
    connection: &Connection,
    once: &Once,
    now_ms: i64,
    has_run: &mut bool,
    job: &mut F,
) -> rusqlite::Result<Effect<Answered<T>>>
where
    T: Serialize + DeserializeOwned,
    F: FnMut(&Connection) -> rusqlite::Result<Effect<T>>,
{
    let oldest = now_ms - KEPT_FOR.as_millis() as i64;
    let known: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT fingerprint, answer FROM mainstay_answers WHERE key = ?1 AND at >= ?2")?
        .query_row(params![once.key, oldest], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((fingerprint, answer)) = known {
        if fingerprint != once.fingerprint {
            return Ok(Effect::Rollback(Answered::Mismatch));
        }
        let answer = serde_json::from_slice(&answer).map_err(|error| unreadable(Box::new(error)))?;
        let answered = if *has_run { Answered::First } else { Answered::Again };
        return Ok(Effect::Rollback(answered(answer)));
    }
    Ok(match job(connection)? {
        Effect::Rollback(refused) => Effect::Rollback(Answered::First(refused)),
        Effect::Commit(done) => {
            let answer =
                serde_json::to_vec(&done).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            keep(connection, once, &answer, now_ms)?;
            prune(connection, now_ms, WITH_EACH)?;
            *has_run = true;
            Effect::Commit(Answered::First(done))
        }
    })
}

/// A kept answer that an older or newer version of the program wrote in another form.
fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, error)
}

fn keep(connection: &Connection, once: &Once, answer: &[u8], now_ms: i64) -> rusqlite::Result<()> {
    // An entry of the same key is older than is kept, or it would have been found. Its place in the row goes with it.
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO mainstay_answers (key, fingerprint, answer, at, ends_at)
             VALUES (?1, ?2, ?3, ?4,
                     coalesce((SELECT ends_at FROM mainstay_answers ORDER BY id DESC LIMIT 1), 0) + length(?3))",
        )?
        .execute(params![once.key, once.fingerprint, answer, now_ms])
        .map(drop)
}

/// Removes those of the `most` oldest entries that are past a bound; how many. It never looks further than at these.
fn prune(connection: &Connection, now_ms: i64, most: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM mainstay_answers WHERE id IN (
               SELECT id FROM (SELECT id, at, ends_at FROM mainstay_answers ORDER BY id LIMIT ?4)
               WHERE at < ?1
                  OR id <= (SELECT max(id) FROM mainstay_answers) - ?2
                  OR ends_at < (SELECT ends_at FROM mainstay_answers ORDER BY id DESC LIMIT 1) - ?3)",
        )?
        .execute(params![
            now_ms - KEPT_FOR.as_millis() as i64,
            MOST_ANSWERS,
            MOST_BYTES,
            most
        ])
}

/// Removes a chunk of what is past a bound, as a write job of an idle writer; whether there may be more.
///
/// # Errors
/// SQLite's.
pub(super) fn prune_chunk(connection: &Connection, now_ms: i64) -> rusqlite::Result<Effect<bool>> {
    Ok(match prune(connection, now_ms, WHEN_IDLE)? {
        0 => Effect::Rollback(false),
        removed => Effect::Commit(removed as i64 == WHEN_IDLE),
    })
}

#[cfg(test)]
mod tests;
