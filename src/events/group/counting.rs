//! Groups counted anew after they parted (floor 2).
//!
//! What must stay true: those that left count too; when a group was seen is only widened, never narrowed. Runs inside the
//! caller's write transaction.

use rusqlite::Connection;

use crate::events::life;

/// Counts a group's events anew, those that left among them, and its users.
pub(in crate::events) fn recount(c: &Connection, group: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE groups SET count =
           (SELECT coalesce(sum(occurrences), 0) FROM events WHERE group_id IN
             (SELECT id FROM groups AS member WHERE member.id = ?1 OR member.parent = ?1))
           + (SELECT sum(removed) FROM groups AS member WHERE member.id = ?1 OR member.parent = ?1)
         WHERE id = ?1",
    )?
    .execute([group])?;
    life::users_counted(c, group)
}
