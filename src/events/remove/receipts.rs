//! Receipts of removals on purpose (floor 2): who removed what when, how far one that runs is, and how it ended.
//!
//! What must stay true: a receipt is written before the first event leaves, and moves in the transactions in which they do,
//! so that its numbers are exact after a kill; one that has ended never changes, but for the name of a user who is erased later:
//! none holds anything of one. Those of single events, which scripts may remove by the thousand, are kept up to a number;
//! what they counted stays counted.

mod shown;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

pub use self::shown::{Counts, Receipt};
pub(super) use self::shown::{one, page};
use super::{Removed, Taken, Terms};
use crate::events::query::Filter;

/// Receipts of single removals that are kept.
const SINGLES_KEPT: i64 = 1000;
/// Most of them that one removal lets go of; more than one adds.
const FORGOTTEN_AT_ONCE: i64 = 64;
/// The word under which what they counted goes on in `retention_removed`.
pub(in crate::events) const FORGOTTEN: &str = "purge";

/// What kind of removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything that matches a filter.
    Purge = 0,
    /// Everything of one user, so that nothing of it can be read from the file any more.
    Erasure = 1,
    /// One event.
    One = 2,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Under way, also across restarts.
    Running = 0,
    /// All is gone.
    Done = 1,
    /// It met something that trying again doesn't mend.
    Failed = 2,
    /// Somebody stopped it; what had left by then is gone.
    Cancelled = 3,
}

/// A removal to begin.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What kind.
    pub kind: Kind,
    /// What is looked for.
    pub filter: Filter,
    /// The same for people, JSON.
    pub shown: String,
    /// Who wants it: a token's name, or `local`.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// When, milliseconds since the epoch.
    pub now_ms: i64,
    /// What was received later stays, milliseconds since the epoch.
    pub bound_ms: i64,
    /// The preview that it confirms.
    pub token: Option<String>,
}

/// What a removal still has to go through.
#[derive(Debug)]
pub(super) enum Rest {
    /// Nothing: all was gone through, or nothing more shall leave.
    Nothing,
    /// What matches.
    Matching(Box<Filter>),
    /// What it looks for was written by another version and says nothing to this one.
    Unreadable,
}

/// A removal that isn't at its end.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub id: i64,
    pub kind: Kind,
    /// What is still to be gone through.
    pub rest: Rest,
    pub bound_ms: i64,
    /// What lies at or after it was gone through.
    pub place: i64,
}

/// Writes a new one down; the number of the same one where it runs already, or was begun with the same token. An erasure
/// that still looks for events goes through them anew up to now; one that doesn't is followed by another, and so is what
/// was stopped.
pub(super) fn begin(c: &Connection, asked: &Asked) -> rusqlite::Result<i64> {
    let known: Option<i64> = c
        .prepare_cached(
            "SELECT id FROM purges WHERE token = ?1 OR (status = 0 AND kind = ?2 AND asked = ?3 AND ?1 IS NULL
               AND error IS NOT 'cancelled' AND (kind <> 1 OR filter IS NOT NULL)) LIMIT 1",
        )?
        .query_row(params![asked.token, asked.kind as i64, asked.shown], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        if asked.kind == Kind::Erasure {
            c.prepare_cached("UPDATE purges SET bound = ?2, place = ?3 WHERE id = ?1 AND bound < ?2")?
                .execute([known, asked.bound_ms, i64::MAX])?;
        }
        return Ok(known);
    }
    c.prepare_cached(
        "INSERT INTO purges (kind, actor, reason, began, bound, token, asked, filter, place, tally)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        asked.kind as i64,
        asked.actor,
        asked.reason,
        asked.now_ms,
        asked.bound_ms,
        asked.token,
        asked.shown,
        json(&asked.filter)?,
        i64::MAX,
        json(&Removed::default())?,
    ])?;
    Ok(c.last_insert_rowid())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    let unreadable = |e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e));
    serde_json::from_str(text).map_err(unreadable)
}

/// The oldest that isn't at its end.
pub(super) fn unfinished(c: &Connection) -> rusqlite::Result<Option<Unfinished>> {
    let found = c
        .prepare_cached("SELECT id, kind, filter, bound, place FROM purges WHERE status = 0 ORDER BY id LIMIT 1")?
        .query_row([], |row| {
            let filter: Option<String> = row.get(2)?;
            Ok(Unfinished {
                id: row.get(0)?,
                kind: kind(row.get(1)?),
                rest: match filter.map(|text| serde_json::from_str(&text)) {
                    None => Rest::Nothing,
                    Some(Ok(filter)) => Rest::Matching(Box::new(filter)),
                    Some(Err(_)) => Rest::Unreadable,
                },
                bound_ms: row.get(3)?,
                place: row.get(4)?,
            })
        })
        .optional()?;
    Ok(found)
}

fn kind(number: i64) -> Kind {
    match number {
        1 => Kind::Erasure,
        2 => Kind::One,
        _ => Kind::Purge,
    }
}

/// Adds a chunk, up to its last place of a walk with this bound; `false` when the removal was stopped.
pub(super) fn advance(c: &Connection, (id, bound_ms): (i64, i64), taken: &Taken, place: i64) -> rusqlite::Result<bool> {
    let tally: Option<String> = c
        .prepare_cached("SELECT tally FROM purges WHERE id = ?1 AND filter IS NOT NULL")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(tally) = tally else { return Ok(false) };
    let mut all: Removed = parsed(&tally)?;
    all.join(&taken.removed);
    let mut note = c.prepare_cached(
        "INSERT OR IGNORE INTO purge_groups (purge_id, group_id) SELECT ?1, coalesce(parent, id) FROM groups WHERE id = ?2",
    )?;
    let mut groups = 0;
    for group in taken.groups.keys() {
        groups += note.execute([id, *group])?;
    }
    c.prepare_cached(
        "UPDATE purges SET place = CASE bound WHEN ?5 THEN ?2 ELSE place END, tally = ?3,
           groups = groups + ?4 WHERE id = ?1",
    )?
    .execute(params![
        id,
        place,
        json(&all)?,
        i64::try_from(groups).unwrap_or(0),
        bound_ms
    ])?;
    Ok(true)
}

/// Nothing more shall leave: all was gone through, or somebody stopped it. What was looked for is forgotten.
/// But where more is wanted since than was received by `bound_ms`, that bound: all is to be gone through anew.
pub(super) fn walked(c: &Connection, id: i64, bound_ms: i64) -> rusqlite::Result<Option<i64>> {
    let wider = c
        .prepare_cached("SELECT bound FROM purges WHERE id = ?1 AND filter IS NOT NULL AND bound > ?2")?
        .query_row([id, bound_ms], |row| row.get(0))
        .optional()?;
    if wider.is_none() {
        c.prepare_cached("UPDATE purges SET filter = NULL WHERE id = ?1 AND status = 0")?
            .execute([id])?;
    }
    Ok(wider)
}

/// No receipt of a removal that looked for this user's events names them any more.
pub(super) fn forget_user(c: &Connection, user: &str) -> rusqlite::Result<()> {
    c.execute(
        "UPDATE purges SET asked = json_set(asked, '$.userId', 'erased')
         WHERE CASE WHEN json_valid(asked) THEN json_extract(asked, '$.userId') = ?1 END",
        [user],
    )?;
    c.execute(
        "UPDATE purges SET asked = json_set(asked, '$.q', 'erased')
         WHERE CASE WHEN json_valid(asked) THEN instr(json_extract(asked, '$.q'), 'userId:' || ?1)
           + instr(json_extract(asked, '$.q'), 'userId:\"' || ?1) > 0 END",
        [user],
    )?;
    Ok(())
}

/// Stops one that runs; whether there is one under this number. It ends soon after.
pub(super) fn stop(c: &Connection, id: i64) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "UPDATE purges SET error = CASE WHEN filter IS NULL THEN error ELSE 'cancelled' END, filter = NULL
         WHERE id = ?1 AND status = 0 AND kind <> 1",
    )?
    .execute([id])?;
    c.prepare_cached("SELECT 1 FROM purges WHERE id = ?1")?.exists([id])
}

/// Looks after the groups of a removal, `most` at a time and for its share of time; whether that were all.
pub(super) fn settle_groups(c: &Connection, id: i64, most: i64) -> rusqlite::Result<bool> {
    let some: Vec<i64> = c
        .prepare_cached("SELECT group_id FROM purge_groups WHERE purge_id = ?1 LIMIT ?2")?
        .query_map([id, most], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let (done, gone) = super::remove_groups(c, &some, Terms::default().share)?;
    let mut seen_to = c.prepare_cached("DELETE FROM purge_groups WHERE purge_id = ?1 AND group_id = ?2")?;
    for group in &some[..done] {
        seen_to.execute([id, *group])?;
    }
    c.prepare_cached("UPDATE purges SET groups_removed = groups_removed + ?2 WHERE id = ?1")?
        .execute([id, i64::try_from(gone.len()).unwrap_or(0)])?;
    Ok(done == some.len() && (some.len() as i64) < most)
}

/// Ends one. What was stopped by hand is cancelled, whatever else it would be.
pub(super) fn end(c: &Connection, id: i64, status: Status, now_ms: i64, error: Option<&str>) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE purges SET status = CASE error WHEN 'cancelled' THEN ?5 ELSE ?2 END, ended = ?3,
           error = CASE error WHEN 'cancelled' THEN NULL ELSE ?4 END, filter = NULL WHERE id = ?1 AND status = 0",
    )?
    .execute(params![id, status as i64, now_ms, error, Status::Cancelled as i64])?;
    c.prepare_cached("DELETE FROM purge_groups WHERE purge_id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Lets go of the oldest receipts of single removals beyond those that are kept, some at a time; what they counted is
/// added to what ever left ([`FORGOTTEN`]).
pub(super) fn forget_singles(c: &Connection) -> rusqlite::Result<()> {
    let too_many: Option<i64> = c
        .prepare_cached("SELECT id FROM purges WHERE kind = 2 ORDER BY id DESC LIMIT 1 OFFSET ?1")?
        .query_row([SINGLES_KEPT], |row| row.get(0))
        .optional()?;
    let Some(newest) = too_many else { return Ok(()) };
    let mut gone = c.prepare_cached(
        "DELETE FROM purges WHERE id IN (SELECT id FROM purges WHERE kind = 2 AND id <= ?1 ORDER BY id LIMIT ?2)
         RETURNING tally",
    )?;
    let tallies = gone.query_map([newest, FORGOTTEN_AT_ONCE], |row| row.get::<_, String>(0))?;
    let mut all = Removed::default();
    for tally in tallies {
        all.join(&parsed(&tally?)?);
    }
    super::note_left(c, FORGOTTEN, &all)
}

#[cfg(test)]
mod tests;
