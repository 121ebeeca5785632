//! Groups that leave (floor 2): those that have no event any more and that nobody ever touched.
//!
//! What must stay true: what a person did to a group is never removed with it: one that was resolved, muted, merged, split,
//! or has anything of theirs in its history stays, and can regress. With a group its keys go, and what the grouping
//! learned from it; the engine forgets what it remembers, so that an event which returns makes a new group under a new id.
//! A group and those it swallowed go together or not at all. Called inside a write job.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::clock;
use crate::events::group;
use crate::events::life::Status;

/// Removes those of these groups that have no events and that nobody touched, with the ones they swallowed, and tells
/// the ids of those: a union is one group. A swallowed group's id stands for the one that swallowed it. It goes from the first on until the share of
/// time is over, and through one at least: tells how many it went through.
///
/// # Errors
/// Those of SQLite; the caller's savepoint undoes all of it.
pub fn remove_groups(c: &Connection, groups: &[i64], share: Duration) -> rusqlite::Result<(usize, Vec<i64>)> {
    let began = clock::now();
    let (mut done, mut gone) = (0, Vec::new());
    for group in groups {
        if done > 0 && clock::since(began) >= share {
            break;
        }
        done += 1;
        let family = group::family(c, *group)?;
        if !family.is_empty() && is_empty(c, &family)? && is_untouched(c, &family)? {
            family.iter().try_for_each(|id| remove(c, *id))?;
            gone.extend(family.first());
        }
    }
    if !gone.is_empty() {
        group::touched(c)?;
    }
    Ok((done, gone))
}

fn is_empty(c: &Connection, family: &[i64]) -> rusqlite::Result<bool> {
    let mut any = c.prepare_cached("SELECT 1 FROM events WHERE group_id = ?1 LIMIT 1")?;
    for id in family {
        if any.exists([id])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether no hand was ever on it. What the events did by themselves, such as uniting groups, is no touch.
fn is_untouched(c: &Connection, family: &[i64]) -> rusqlite::Result<bool> {
    let mut own = c.prepare_cached(
        "SELECT status = ?2 AND regressed_at IS NULL AND apart = 0
           AND NOT EXISTS (SELECT 1 FROM group_life WHERE group_id = ?1)
           AND NOT EXISTS (SELECT 1 FROM group_history WHERE group_id = ?1 AND actor IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM group_changes WHERE group_id = ?1 AND (actor IS NOT NULL OR what > 1))
         FROM groups WHERE id = ?1",
    )?;
    for id in family {
        let untouched: Option<bool> = own
            .query_row([*id, Status::Unresolved as i64], |row| row.get(0))
            .optional()?;
        if untouched != Some(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The group's row, what the grouping has of it, and by the row's trigger what its life has.
fn remove(c: &Connection, id: i64) -> rusqlite::Result<()> {
    const STEPS: [&str; 6] = [
        "DELETE FROM group_holes WHERE group_id = ?1",
        // What was seen at the places of its wider templates belongs to those.
        "DELETE FROM group_holes WHERE hash IN (SELECT hash FROM group_keys WHERE group_id = ?1)",
        "DELETE FROM group_keys WHERE group_id = ?1",
        "DELETE FROM group_moves WHERE change_id IN (SELECT id FROM group_changes WHERE group_id = ?1)",
        "DELETE FROM group_changes WHERE group_id = ?1",
        "DELETE FROM groups WHERE id = ?1",
    ];
    for step in STEPS {
        c.prepare_cached(step)?.execute([id])?;
    }
    Ok(())
}
