//! A group's state in its tables (floor 2).
//!
//! What must stay true: the rows of swallowed groups have the status of the one that is left, so that whoever finds an event
//! by its row's group finds the right status, and a group that is taken out again goes on as the whole was.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::state::{More, Reopens, Standing, State, Status};

/// A group that is left, with what its life depends on.
#[derive(Debug, Clone)]
pub struct Living {
    /// Its id.
    pub id: i64,
    /// The source of its events; `""` where they name none.
    pub source: String,
    /// Its state.
    pub state: State,
    /// Distinct users, as far as they are counted.
    pub users: i64,
    /// Whether it swallowed no other group.
    pub is_alone: bool,
}

/// The group that is left of this one; `None` when there is none.
///
/// # Errors
/// Those of SQLite.
pub fn load(c: &Connection, group: i64) -> rusqlite::Result<Option<Living>> {
    c.prepare_cached(
        "SELECT r.id, r.source, r.users, r.status, r.regressed_at, r.muted_until,
                l.since, l.rule, l.release, l.more, l.span, l.seen, l.times,
                NOT EXISTS (SELECT 1 FROM groups m WHERE m.parent = r.id)
         FROM groups g JOIN groups r ON r.id = coalesce(g.parent, g.id) LEFT JOIN group_life l ON l.group_id = r.id
         WHERE g.id = ?1",
    )?
    .query_row([group], |row| {
        Ok(Living {
            id: row.get(0)?,
            source: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            users: row.get(2)?,
            is_alone: row.get(13)?,
            state: state(row)?,
        })
    })
    .optional()
}

fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let since_ms = row.get::<_, Option<i64>>(6)?.unwrap_or(i64::MIN);
    let release = || row.get::<_, Option<String>>(8).map(Option::unwrap_or_default);
    let standing = match Status::from_number(row.get(3)?) {
        Status::Unresolved => Standing::Unresolved,
        Status::Resolved => Standing::Resolved {
            since_ms,
            reopens: match row.get::<_, Option<i64>>(7)? {
                Some(1) => Reopens::From(release()?),
                Some(2) => Reopens::After(release()?),
                _ => Reopens::Any,
            },
        },
        Status::Muted => Standing::Muted {
            since_ms,
            until_ms: row.get(5)?,
            more: more(row)?,
        },
    };
    Ok(State {
        standing,
        regressed_ms: row.get(4)?,
    })
}

fn more(row: &Row<'_>) -> rusqlite::Result<Option<More>> {
    let Some(wanted) = row.get::<_, Option<u32>>(9)? else {
        return Ok(None);
    };
    let times: Option<Vec<u8>> = row.get(12)?;
    Ok(Some(More {
        wanted,
        span_ms: row.get(10)?,
        seen: row.get(11)?,
        times: times
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap_or_default()))
            .collect(),
    }))
}

/// Stores the state of a group that is left.
///
/// # Errors
/// Those of SQLite.
pub fn save(c: &Connection, group: i64, state: &State) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE groups SET status = ?2, regressed_at = ?3, muted_until = ?4 WHERE id = ?1 OR parent = ?1",
    )?
    .execute(params![
        group,
        state.status() as i64,
        state.regressed_ms,
        state.muted_until_ms()
    ])?;
    save_rules(c, group, &state.standing)
}

/// Stores what ends a standing, and how far it is.
///
/// # Errors
/// Those of SQLite.
pub fn save_rules(c: &Connection, group: i64, standing: &Standing) -> rusqlite::Result<()> {
    let (since, rule, release, more) = match standing {
        Standing::Unresolved => {
            c.prepare_cached("DELETE FROM group_life WHERE group_id = ?1")?
                .execute([group])?;
            return Ok(());
        }
        Standing::Resolved { since_ms, reopens } => match reopens {
            Reopens::Any => (since_ms, 0, None, None),
            Reopens::From(release) => (since_ms, 1, Some(release), None),
            Reopens::After(release) => (since_ms, 2, Some(release), None),
        },
        Standing::Muted { since_ms, more, .. } => (since_ms, 0, None, more.as_ref()),
    };
    c.prepare_cached(
        "INSERT OR REPLACE INTO group_life (group_id, since, rule, release, more, span, seen, times)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        group,
        since,
        rule,
        release,
        more.map(|more| more.wanted),
        more.and_then(|more| more.span_ms),
        more.map_or(0, |more| more.seen),
        more.filter(|more| more.span_ms.is_some())
            .map(|more| bytes(&more.times)),
    ])?;
    Ok(())
}

fn bytes(times: &VecDeque<i64>) -> Vec<u8> {
    times.iter().flat_map(|time| time.to_le_bytes()).collect()
}
