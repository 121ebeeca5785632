//! Users and releases of a group counted anew by its rows (floor 2), after some of them came to name another group.
//!
//! What must stay true: only where all of a group's events have their rows is anything taken away; elsewhere what was ever
//! seen stays. The grouping calls this, in its transaction, after it moved rows.

use rusqlite::Connection;

use super::{MOST_RELEASES, MOST_USERS};

/// Most rows that are counted anew: more are too long a wait for everybody else who writes.
const MOST_COUNTED: i64 = 100_000;

/// Whether all events that ever named this very group have rows of their own that name it, few enough to be counted.
///
/// # Errors
/// Those of SQLite.
pub fn is_whole(c: &Connection, group: i64) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT (SELECT coalesce(sum(removed), 0) = 0 FROM groups WHERE id = ?1)
           AND count(*) <= ?2 AND coalesce(max(occurrences), 1) = 1
         FROM (SELECT occurrences FROM events WHERE group_id = ?1 LIMIT ?2 + 1)",
    )?
    .query_row([group, MOST_COUNTED], |row| row.get(0))
}

/// Counts the users and the releases of this very group anew.
///
/// # Errors
/// Those of SQLite.
pub fn counted(c: &Connection, group: i64) -> rusqlite::Result<()> {
    let is_whole = is_whole(c, group)?;
    if is_whole {
        c.prepare_cached("DELETE FROM group_users WHERE group_id = ?1")?
            .execute([group])?;
    }
    c.prepare_cached(
        "INSERT OR IGNORE INTO group_users (group_id, user)
         SELECT DISTINCT ?1, CAST(user_id AS TEXT) FROM
           (SELECT user_id FROM events WHERE group_id = ?1 ORDER BY at DESC LIMIT ?2) WHERE user_id IS NOT NULL LIMIT ?3",
    )?
    .execute([group, MOST_COUNTED, MOST_USERS])?;
    if is_whole {
        c.prepare_cached("DELETE FROM group_releases WHERE group_id = ?1")?
            .execute([group])?;
        c.prepare_cached(
            "INSERT INTO group_releases (group_id, release, first_seen, last_seen, count)
             SELECT ?1, release, min(coalesce(ts, at >> 20)), max(coalesce(ts, at >> 20)), sum(occurrences)
             FROM events WHERE group_id = ?1 AND release IS NOT NULL GROUP BY release ORDER BY 4 DESC, release LIMIT ?2",
        )?
        .execute([group, MOST_RELEASES])?;
    }
    Ok(())
}
