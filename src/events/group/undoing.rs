//! Changes taken back (floor 2).
//!
//! What must stay true: in whatever order changes are undone, groups, keys and events are then where the changes that still
//! stand put them, as if the undone ones had never been; an undoing that later ones stand in the way of is refused, and
//! says which; none is done that changes nothing. All of it runs inside the caller's write transaction.

use rusqlite::{Connection, OptionalExtension};

use super::hands::{Act, Done, Refused, record};
use super::unions::{self, What};
use super::{changes, settling, tables};

/// Takes a change back: groups and keys go where they would be without it, and the rules never make the same change again.
///
/// # Errors
/// Those of SQLite, outside; inside, why it wasn't done.
pub fn undo(c: &Connection, change: i64, actor: Option<&str>, at_ms: i64) -> Act {
    let found: Option<(i64, i64, bool)> = c
        .query_row(
            "SELECT what, group_id, undone IS NOT NULL FROM group_changes WHERE id = ?1",
            [change],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((what, group, undone)) = found else {
        return Ok(Err(Refused::NoChange(change)));
    };
    if undone || what == What::Undone as i64 {
        return Ok(Err(Refused::NotUndoable(change)));
    }
    let mut around = changes::around(c, &[group])?;
    if let Some(first) = around.in_the_way(change) {
        return Ok(Err(Refused::After { change, first }));
    }
    tables::touch(c)?;
    let undoing = unions::note(c, &record(What::Undone, actor, at_ms), group, 0)?;
    c.execute("UPDATE group_changes SET undone = ?2 WHERE id = ?1", [change, undoing])?;
    if what != What::Split as i64 {
        settling::bar(c, change)?;
    }
    around.undone(change);
    let events = settling::settle(c, &around, at_ms)?;
    Ok(Ok(Done {
        change: undoing,
        group,
        events,
    }))
}

#[cfg(test)]
mod tests;
