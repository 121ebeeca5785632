//! Who did what with a group, and what its events did (floor 2).
//!
//! What must stay true: an entry is written in the transaction that makes the change; a group keeps the newest
//! [`MOST_ENTRIES`]; those of swallowed groups are read with the one that is left.

use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::value::RawValue;

use super::acts::By;
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::db::{Database, DbError, Operation};
use crate::events::wire::group_name;

/// Most entries that a group keeps.
const MOST_ENTRIES: i64 = 500;

/// One change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number; later ones are larger.
    pub id: i64,
    /// The group that it happened to, which may have been swallowed since.
    pub group_id: String,
    /// When.
    pub at: String,
    /// What: `resolved`, `reopened`, `muted`, `regressed`, `unmuted`, `merged`, `split`, `undone`, `united`.
    pub action: String,
    /// Who; left out where the events did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<RawValue>>,
}

/// A page of a group's history, newest first.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entries {
    /// The changes.
    pub history: Vec<Entry>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Writes down what a hand did.
pub(super) fn note_act(c: &Connection, group: i64, action: &str, by: &By, detail: &str) -> rusqlite::Result<()> {
    let who = Who {
        actor: Some(&by.actor),
        reason: by.reason.as_deref(),
    };
    write(c, group, by.at_ms, action, &who, detail)
}

/// Writes down what events did.
pub(super) fn note_turn(c: &Connection, group: i64, at_ms: i64, action: &str, detail: &str) -> rusqlite::Result<()> {
    let nobody = Who {
        actor: None,
        reason: None,
    };
    write(c, group, at_ms, action, &nobody, detail)
}

struct Who<'a> {
    actor: Option<&'a str>,
    reason: Option<&'a str>,
}

fn write(c: &Connection, group: i64, at_ms: i64, action: &str, who: &Who<'_>, detail: &str) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO group_history (group_id, at, action, actor, reason, detail) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, ''))",
    )?
    .execute(params![group, at_ms, action, who.actor, who.reason, detail])?;
    c.prepare_cached(
        "DELETE FROM group_history WHERE group_id = ?1 AND id <=
           (SELECT id FROM group_history WHERE group_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute([group, MOST_ENTRIES])?;
    Ok(())
}

/// The newest entries of a group older than the entry `before`; `None` when there is no such group.
///
/// # Errors
/// Those of the database layer.
pub async fn entries(
    database: &Database,
    group: i64,
    before: Option<i64>,
    limit: u32,
) -> Result<Option<Entries>, DbError> {
    let read = move |c: &Connection| {
        let family = crate::events::group::family(c, group)?;
        if family.is_empty() {
            return Ok(None);
        }
        page(c, &family, before.unwrap_or(i64::MAX), limit).map(Some)
    };
    database.read(Operation::point("groups.history"), read).await
}

pub(super) fn page(c: &Connection, family: &[i64], before: i64, limit: u32) -> rusqlite::Result<Entries> {
    let mut history: Vec<Entry> = c
        .prepare_cached(
            "SELECT id, group_id, at, action, actor, reason, detail FROM group_history
             WHERE group_id IN (SELECT value FROM json_each(?1)) AND id < ?2 ORDER BY id DESC LIMIT ?3",
        )?
        .query_map(params![super::view::ids(family), before, i64::from(limit) + 1], |row| {
            Ok(Entry {
                id: row.get(0)?,
                group_id: group_name(row.get(1)?),
                at: rfc3339_ms(from_epoch_ms(row.get(2)?)),
                action: row.get(3)?,
                by: row.get(4)?,
                reason: row.get(5)?,
                detail: row
                    .get::<_, Option<String>>(6)?
                    .and_then(|text| RawValue::from_string(text).ok()),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let is_more = history.len() > limit as usize;
    history.truncate(limit as usize);
    let next_cursor = history.last().filter(|_| is_more).map(|last| last.id.to_string());
    Ok(Entries { history, next_cursor })
}
