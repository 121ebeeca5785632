//! Changes taken back (floor 2).
//!
//! What must stay true: a group goes back to where the change found it, unless it has been taken out of what the change
//! made since; what has been united further since is no hindrance, and stays united. A swallowed group's parent is always
//! a group that has none. Events that came while groups were one go with the group that their keys go to. All of it runs
//! inside the caller's write transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::family::root;
use super::hands::{Act, Done, Refused, record, recount};
use super::parting::bring_home;
use super::tables::{self, How};
use super::unions::{self, What};
use crate::events::life;

/// Takes a change back: groups and keys go where they were, and the rules never make the same change again.
///
/// # Errors
/// Those of SQLite, outside; inside, why it wasn't done.
pub fn undo(c: &Connection, change: i64, actor: Option<&str>, at_ms: i64) -> Act {
    let found: Option<(i64, i64, Option<[u8; 16]>, bool)> = c
        .query_row(
            "SELECT what, group_id, hash, undone IS NOT NULL FROM group_changes WHERE id = ?1",
            [change],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((what, group, hash, undone)) = found else {
        return Ok(Err(Refused::NoChange(change)));
    };
    if undone || what == What::Undone as i64 {
        return Ok(Err(Refused::NotUndoable(change)));
    }
    tables::touch(c)?;
    let undoing = unions::note(c, &record(What::Undone, actor, at_ms), group, 0)?;
    c.execute("UPDATE group_changes SET undone = ?2 WHERE id = ?1", [change, undoing])?;
    if let Some(hash) = hash.filter(|_| what != What::Split as i64) {
        c.execute(
            "UPDATE group_keys SET how = ?2 WHERE hash = ?1",
            params![hash, How::Barred as u8],
        )?;
    }
    let events = put_back(c, &moves(c, change)?, at_ms)?;
    if let Some(root) = root(c, group)? {
        recount(c, root)?;
    }
    Ok(Ok(Done {
        change: undoing,
        group,
        events,
    }))
}

/// A group or, where there is a hash, a key: where it was and where it went.
struct Move {
    group: i64,
    was: Option<i64>,
    became: Option<i64>,
    hash: Vec<u8>,
}

/// Groups before keys; those that stood for themselves before those that went along with them.
fn moves(c: &Connection, change: i64) -> rusqlite::Result<Vec<Move>> {
    c.prepare_cached(
        "SELECT group_id, was, became, hash FROM group_moves WHERE change_id = ?1
         ORDER BY hash, was IS NOT NULL, group_id",
    )?
    .query_map([change], |row| {
        Ok(Move {
            group: row.get(0)?,
            was: row.get(1)?,
            became: row.get(2)?,
            hash: row.get(3)?,
        })
    })?
    .collect()
}

/// Undoes moves; how many events changed their group.
fn put_back(c: &Connection, moves: &[Move], at_ms: i64) -> rusqlite::Result<u64> {
    let (mut parted, mut wholes) = (Vec::new(), Vec::new());
    for one in moves {
        if !one.hash.is_empty() {
            c.execute(
                "UPDATE group_keys SET group_id = ?2 WHERE hash = ?1 AND group_id = ?3",
                params![one.hash, one.was, one.became],
            )?;
        } else if let Some(into) = one.became {
            if let Some((whole, home)) = leave(c, one, into)? {
                wholes.push(whole);
                parted.push(home);
            }
        } else if let Some(from) = one.was {
            come_back(c, one.group, from, at_ms)?;
        }
    }
    for list in [&mut parted, &mut wholes] {
        list.sort_unstable();
        list.dedup();
    }
    let mut events = 0;
    for whole in wholes {
        let family = super::family::family(c, whole)?;
        events += bring_home(c, &family, &parted)?;
        recount(c, whole)?;
    }
    for group in parted {
        recount(c, group)?;
    }
    Ok(events)
}

/// A group that went into another leaves what that has become, if it is still in it; the group that it leaves, and the one
/// that stands for it then.
fn leave(c: &Connection, one: &Move, into: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let (Some(whole), Some(of_into)) = (root(c, one.group)?, root(c, into)?) else {
        return Ok(None);
    };
    let parent = match one.was {
        // It goes along with the group that it was in.
        Some(was) => root(c, was)?,
        None => None,
    };
    if whole != of_into || whole == one.group || parent == Some(whole) {
        return Ok(None);
    }
    c.execute(
        "UPDATE groups SET parent = ?2, apart = 1 WHERE id = ?1",
        params![one.group, parent],
    )?;
    if parent.is_none() {
        life::parted(c, whole, one.group)?;
    }
    Ok(Some((whole, parent.unwrap_or(one.group))))
}

/// A group that was taken out goes back into what it was taken from, with what it has swallowed since; unless it was
/// swallowed itself.
fn come_back(c: &Connection, group: i64, from: i64, at_ms: i64) -> rusqlite::Result<()> {
    let Some(whole) = root(c, from)?.filter(|whole| *whole != group) else {
        return Ok(());
    };
    if root(c, group)? != Some(group) {
        return Ok(());
    }
    c.execute(
        "UPDATE groups SET parent = ?2, count = 0, apart = CASE id WHEN ?1 THEN 0 ELSE apart END WHERE id = ?1 OR parent = ?1",
        [group, whole],
    )?;
    life::swallowed(c, group, whole, at_ms)?;
    recount(c, whole)
}
