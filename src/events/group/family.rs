//! A group and those it swallowed (floor 2): how lists find the events of all of them.
//!
//! What must stay true: an event's row keeps the group it was stored with; whoever looks for a group's events looks for those
//! of its [`family`].

use rusqlite::{Connection, OptionalExtension};

use super::tables;
use super::unions::What;

/// The group that stands for this one: itself, or the one that swallowed it; `None` when there is no such group.
///
/// # Errors
/// Those of SQLite.
pub fn root(c: &Connection, group: i64) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT coalesce(parent, id) FROM groups WHERE id = ?1")?
        .query_row([group], |row| row.get(0))
        .optional()
}

/// The ids under which the events of a group are stored, its own first; of a swallowed group, those of the one that stands
/// for it. Empty when there is no such group.
///
/// # Errors
/// Those of SQLite.
pub fn family(c: &Connection, group: i64) -> rusqlite::Result<Vec<i64>> {
    let Some(root) = root(c, group)? else {
        return Ok(Vec::new());
    };
    let mut ids = vec![root];
    ids.extend(aliases(c, root)?);
    Ok(ids)
}

/// The groups that a group swallowed, oldest first.
///
/// # Errors
/// Those of SQLite.
pub fn aliases(c: &Connection, root: i64) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached("SELECT id FROM groups WHERE parent = ?1 ORDER BY id")?
        .query_map([root], |row| row.get(0))?
        .collect()
}

/// To be called by whoever removes groups or their keys, in the same transaction: the engine forgets what it remembers.
///
/// # Errors
/// Those of SQLite.
pub fn touched(c: &Connection) -> rusqlite::Result<()> {
    tables::touch(c).map(drop)
}

/// The number of the newest change by which stored events may have gone from one group to another; 0 for none.
///
/// # Errors
/// Those of SQLite.
pub fn newest_parting(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT coalesce(max(id), 0) FROM group_changes WHERE what IN (?1, ?2)")?
        .query_row([What::Split as i64, What::Undone as i64], |row| row.get(0))
}
