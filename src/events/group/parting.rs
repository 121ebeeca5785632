//! Keys taken out of a group, with the stored events that have them (floor 2).
//!
//! What must stay true: a new group has the keys and every event of the newest [`MOST_LOOKED_AT`] that has one of them; it is
//! set apart, so that the rules leave it alone. Called by the split alone.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::hands::{Act, Done, MOST_LOOKED_AT, Refused, recount};
use super::stored::{self, Stored};
use super::tables;
use super::template::Key;
use super::unions::{self, Record};
use crate::events::life;

/// Makes a group of these keys of a family.
pub(super) fn part(c: &Connection, root: i64, family: &[i64], keys: &[Key], record: &Record<'_>) -> Act {
    let mut moved: Vec<(Key, i64)> = Vec::with_capacity(keys.len());
    for &key in keys {
        let group: Option<i64> = c
            .prepare_cached("SELECT group_id FROM group_keys WHERE hash = ?1")?
            .query_row([key.to_be_bytes()], |row| row.get(0))
            .optional()?;
        match group.filter(|group| family.contains(group)) {
            Some(group) if !moved.iter().any(|(known, _)| *known == key) => moved.push((key, group)),
            _ => {}
        }
    }
    let all: i64 = c.query_row(
        "SELECT count(*) FROM group_keys WHERE group_id IN (SELECT id FROM groups WHERE id = ?1 OR parent = ?1)",
        [root],
        |row| row.get(0),
    )?;
    if moved.is_empty() || i64::try_from(moved.len()).unwrap_or(i64::MAX) >= all {
        return Ok(Err(Refused::NothingToSplit));
    }
    tables::touch(c)?;
    let change = unions::note(c, record, root, moved.len())?;
    let group = new_group(c, root, moved[0].0)?;
    // Should it be undone, the new group becomes one of the old one's aliases.
    c.execute(
        "INSERT INTO group_moves (change_id, group_id, was, became) VALUES (?1, ?2, ?3, NULL)",
        params![change, group, root],
    )?;
    for (key, was) in &moved {
        c.execute(
            "INSERT INTO group_moves (change_id, group_id, hash, was, became) VALUES (?1, ?2, ?3, ?4, ?2)",
            params![change, group, key.to_be_bytes(), was],
        )?;
        c.execute(
            "UPDATE group_keys SET group_id = ?2 WHERE hash = ?1",
            params![key.to_be_bytes(), group],
        )?;
    }
    life::parted(c, root, group)?;
    let events = move_events(c, family, &moved, group)?;
    recount(c, root)?;
    recount(c, group)?;
    Ok(Ok(Done { change, group, events }))
}

/// A copy of the old group under the name of the first key.
fn new_group(c: &Connection, root: i64, key: Key) -> rusqlite::Result<i64> {
    c.execute(
        "INSERT INTO groups (title, template, type, source, severity, explanation, first_seen, last_seen, version, apart)
         SELECT coalesce(k.template, g.title), coalesce(k.template, g.template), g.type, g.source, g.severity, g.explanation,
                g.first_seen, g.last_seen, g.version, 1
         FROM groups g, group_keys k WHERE g.id = ?1 AND k.hash = ?2",
        params![root, key.to_be_bytes()],
    )?;
    Ok(c.last_insert_rowid())
}

/// The newest stored events of the family that have one of the keys become the new group's.
fn move_events(c: &Connection, family: &[i64], keys: &[(Key, i64)], group: i64) -> rusqlite::Result<u64> {
    let mut moved = 0;
    for &member in family {
        let mut rows = Vec::new();
        for (row, event) in stored::of_group(c, member, MOST_LOOKED_AT)? {
            let key = event.subject().key();
            if keys.iter().any(|(known, _)| *known == key) {
                c.prepare_cached("UPDATE events SET group_id = ?2 WHERE rowid = ?1")?
                    .execute([row, group])?;
                rows.push(row);
            }
        }
        life::moved(c, member, group, &rows)?;
        moved += rows.len() as u64;
    }
    Ok(moved)
}

/// The keys of stored events of a family.
pub(super) fn keys_of_events(c: &Connection, family: &[i64], ids: &[Uuid]) -> rusqlite::Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((group, event)) = stored::by_id(c, *id)? else {
            continue;
        };
        if family.contains(&group) {
            keys.push(Stored::subject(&event).key());
        }
    }
    Ok(keys)
}
