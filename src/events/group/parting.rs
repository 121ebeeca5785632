//! Keys taken out of a group, and the stored events that go with keys (floor 2).
//!
//! What must stay true: a group that parts has its keys and every event of the newest [`MOST_LOOKED_AT`] that has one of
//! them; a new one is set apart, so that the rules leave it alone. Called by what splits and what settles.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::hands::{Act, Done, Refused};
use super::modes::Mode;
use super::settling::{self, MOST_LOOKED_AT};
use super::stored::{self, Stored};
use super::template::Key;
use super::unions::{self, Record};
use super::{changes, tables};
use crate::events::life;

/// Makes a group of these keys of a family.
pub(super) fn part(c: &Connection, root: i64, family: &[i64], keys: &[Key], record: &Record<'_>) -> Act {
    let mut moved: Vec<(Key, i64)> = Vec::with_capacity(keys.len());
    for &key in keys {
        match tables::made_for(c, key)?.filter(|group| family.contains(group)) {
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
    }
    life::parted(c, root, group)?;
    let events = settling::settle(c, &changes::around(c, &[root])?, record.at)?;
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

/// The newest stored events of these groups whose keys others stand for by now become those groups'; how many.
pub(super) fn bring_home(c: &Connection, groups: &[i64]) -> rusqlite::Result<u64> {
    let mut roots: HashMap<i64, Option<i64>> = HashMap::new();
    let mut root_of = |group: i64| -> rusqlite::Result<Option<i64>> {
        if let Some(root) = roots.get(&group) {
            return Ok(*root);
        }
        let root = super::family::root(c, group)?;
        roots.insert(group, root);
        Ok(root)
    };
    let mut moved = 0;
    for &member in groups {
        let mut rows: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let here = root_of(member)?;
        for (row, event) in stored::of_group(c, member, MOST_LOOKED_AT)? {
            let Some((_, home)) = stored_key(c, &event)? else {
                continue;
            };
            if root_of(home)? != here {
                c.prepare_cached("UPDATE events SET group_id = ?2 WHERE rowid = ?1")?
                    .execute([row, home])?;
                rows.entry(home).or_default().push(row);
            }
        }
        for (home, rows) in rows {
            life::moved(c, member, home, &rows)?;
            moved += rows.len() as u64;
        }
    }
    Ok(moved)
}

/// The key that a stored event was grouped by, and the group that has it. Which mode its source had then isn't kept: the
/// first that gives a known key is taken.
fn stored_key(c: &Connection, event: &Stored) -> rusqlite::Result<Option<(Key, i64)>> {
    for mode in Mode::ALL {
        let key = event.subject().key_in(mode);
        if let Some(group) = tables::made_for(c, key)? {
            return Ok(Some((key, group)));
        }
    }
    Ok(None)
}

/// The keys of stored events of a family.
pub(super) fn keys_of_events(c: &Connection, family: &[i64], ids: &[Uuid]) -> rusqlite::Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((group, event)) = stored::by_id(c, *id)? else {
            continue;
        };
        if family.contains(&group) {
            keys.extend(stored_key(c, &event)?.map(|(key, _)| key));
        }
    }
    Ok(keys)
}
