//! What becomes of lives when groups are united or parted (floor 2).
//!
//! What must stay true: hours, users and releases stay with the group that the events' rows name, so that a union undone
//! leaves what was there before; what is united is as awake as its wakest part, so that nothing unresolved is lost in a
//! union with something muted; what is taken out goes on with the status of the whole. The grouping calls this, in its
//! transaction, after it moved the groups.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::state::{Standing, State, Status};
use super::{MOST_USERS, history, rows};
use crate::events::store::HOUR_MS;
use crate::events::wire::group_name;

/// `from` was swallowed by `into`, which is left.
///
/// # Errors
/// Those of SQLite.
pub fn swallowed(c: &Connection, from: i64, into: i64, at_ms: i64) -> rusqlite::Result<()> {
    users_counted(c, into)?;
    let Some(mut left) = rows::load(c, into)? else {
        return Ok(());
    };
    let Some(theirs) = own_standing(c, from)? else {
        return Ok(());
    };
    let was = left.state.status();
    let wakest = wakefulness(theirs) > wakefulness(was);
    if wakest {
        left.state.standing = match theirs {
            Status::Resolved => Standing::Resolved {
                since_ms: at_ms,
                reopens: super::state::Reopens::Any,
            },
            Status::Unresolved | Status::Muted => Standing::Unresolved,
        };
        let detail = format!(r#"{{"with":"{}","was":"{}"}}"#, group_name(from), was.name());
        history::note_turn(c, into, at_ms, "united", &detail)?;
    }
    c.prepare_cached("DELETE FROM group_life WHERE group_id = ?1")?
        .execute([from])?;
    // Its own row and those of what it swallowed before take the status of the whole.
    rows::save(c, into, &left.state)
}

/// Unresolved wants attention at once, resolved with the next event, muted never.
const fn wakefulness(status: Status) -> u8 {
    match status {
        Status::Unresolved => 2,
        Status::Resolved => 1,
        Status::Muted => 0,
    }
}

fn own_standing(c: &Connection, group: i64) -> rusqlite::Result<Option<Status>> {
    use rusqlite::OptionalExtension;
    c.prepare_cached("SELECT status FROM groups WHERE id = ?1")?
        .query_row([group], |row| row.get(0).map(Status::from_number))
        .optional()
}

/// `part` was taken out of `whole` and stands for itself again, or is a new group.
///
/// # Errors
/// Those of SQLite.
pub fn parted(c: &Connection, whole: i64, part: i64) -> rusqlite::Result<()> {
    if let Some(left) = rows::load(c, whole)? {
        rows::save(c, part, &left.state)?;
    }
    users_counted(c, whole)?;
    users_counted(c, part)
}

/// How a group stands, for those that part from it.
#[derive(Debug, Clone)]
pub struct Kept(State);

/// How the group stands that stands for this one.
///
/// # Errors
/// Those of SQLite.
pub fn kept(c: &Connection, group: i64) -> rusqlite::Result<Option<Kept>> {
    Ok(rows::load(c, group)?.map(|left| Kept(left.state)))
}

/// A group that stands for itself now goes on like this.
///
/// # Errors
/// Those of SQLite.
pub fn keep(c: &Connection, group: i64, kept: &Kept) -> rusqlite::Result<()> {
    rows::save(c, group, &kept.0)
}

/// All groups that this one stands for now have its status.
///
/// # Errors
/// Those of SQLite.
pub fn shared(c: &Connection, group: i64) -> rusqlite::Result<()> {
    match rows::load(c, group)? {
        Some(left) if left.id == group => rows::save(c, group, &left.state),
        _ => Ok(()),
    }
}

/// Counts the users of a group and of those it swallowed anew.
///
/// # Errors
/// Those of SQLite.
pub fn users_counted(c: &Connection, group: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE groups SET users = (SELECT count(*) FROM (SELECT DISTINCT user FROM group_users WHERE group_id IN
           (SELECT id FROM groups AS member WHERE member.id = ?1 OR member.parent = ?1) LIMIT ?2)) WHERE id = ?1",
    )?
    .execute([group, MOST_USERS])?;
    Ok(())
}

/// The rows of these places now name another group: what was counted for the one is counted for the other; users
/// are added only: [`super::counted`] knows which have left.
///
/// # Errors
/// Those of SQLite.
pub fn moved(c: &Connection, from: i64, to: i64, places: &[i64]) -> rusqlite::Result<()> {
    let mut hours: BTreeMap<i64, i64> = BTreeMap::new();
    let mut read = c.prepare_cached(
        "SELECT release, CAST(user_id AS TEXT), coalesce(ts, at >> 20), occurrences FROM events WHERE at = ?1",
    )?;
    for place in places {
        let (release, user, time, count): (Option<String>, Option<String>, i64, i64) =
            read.query_row([place], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        *hours.entry((place >> 20).div_euclid(HOUR_MS)).or_default() += count;
        if let Some(release) = release {
            move_release(c, (from, to), &release, time, count)?;
        }
        if let Some(user) = user {
            c.prepare_cached("INSERT OR IGNORE INTO group_users (group_id, user) VALUES (?1, ?2)")?
                .execute(params![to, user])?;
        }
    }
    for (hour, count) in hours {
        move_hour(c, from, to, hour, count)?;
    }
    c.prepare_cached("DELETE FROM group_hours WHERE group_id = ?1 AND count <= 0")?
        .execute([from])?;
    c.prepare_cached("DELETE FROM group_releases WHERE group_id = ?1 AND count <= 0")?
        .execute([from])?;
    Ok(())
}

fn move_hour(c: &Connection, from: i64, to: i64, hour: i64, count: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE group_hours SET count = count - ?3 WHERE group_id = ?1 AND hour = ?2")?
        .execute([from, hour, count])?;
    c.prepare_cached(
        "INSERT INTO group_hours (group_id, hour, count) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?
    .execute([to, hour, count])?;
    Ok(())
}

fn move_release(c: &Connection, (from, to): (i64, i64), release: &str, time: i64, count: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE group_releases SET count = count - ?3 WHERE group_id = ?1 AND release = ?2")?
        .execute(params![from, release, count])?;
    c.prepare_cached(
        "INSERT INTO group_releases (group_id, release, first_seen, last_seen, count) VALUES (?1, ?2, ?3, ?3, ?4)
         ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen),
           last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count",
    )?
    .execute(params![to, release, time, count])?;
    Ok(())
}
