//! What a batch of events adds to its groups (floor 2): hours, users, releases, and whether they come back.
//!
//! What must stay true: the same events leave the same rows however they are cut into batches; a batch costs a handful of
//! statements a group, not an event. Called by the store, in the transaction that inserts the events.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde_json::json;

use super::rows::{self, Living};
use super::state::{Met, Standing, Turn};
use super::{HOURS_KEPT, MOST_RELEASES, MOST_USERS, history, release};
use crate::events::model::{ErrorEvent, UserId};
use crate::events::order::ms_of;
use crate::events::store::HOUR_MS;

/// New events, by the group that their rows name.
#[derive(Debug, Default)]
pub struct Tallies<'b> {
    groups: BTreeMap<i64, Tally<'b>>,
    /// Sources and releases in the order in which they come.
    releases: Vec<(&'b str, &'b str)>,
    count: usize,
}

#[derive(Debug, Default)]
struct Tally<'b> {
    hours: BTreeMap<i64, i64>,
    users: BTreeSet<String>,
    releases: BTreeMap<&'b str, Seen>,
    /// Each event with its number in the batch.
    met: Vec<(usize, Met<'b>)>,
}

#[derive(Debug)]
struct Seen {
    first: i64,
    last: i64,
    count: i64,
}

impl<'b> Tallies<'b> {
    /// A new event of this group took this place, or was counted there.
    pub fn add(&mut self, group: i64, at: i64, event: &'b ErrorEvent, occurrences: u32) {
        let count = i64::from(occurrences);
        let tally = self.groups.entry(group).or_default();
        *tally.hours.entry(ms_of(at).div_euclid(HOUR_MS)).or_default() += count;
        match &event.user_id {
            Some(UserId::Number(number)) => drop(tally.users.insert(number.to_string())),
            Some(UserId::Text(text)) => drop(tally.users.insert(text.clone())),
            None => {}
        }
        let time = event.timestamp_ms;
        let release = event.release.as_deref();
        if let Some(release) = release {
            let seen = tally.releases.entry(release).or_insert(Seen {
                first: time,
                last: time,
                count: 0,
            });
            (seen.first, seen.last, seen.count) = (seen.first.min(time), seen.last.max(time), seen.count + count);
            let named = (event.source.as_deref().unwrap_or_default(), release);
            if !self.releases.contains(&named) {
                self.releases.push(named);
            }
        }
        let met = Met {
            timestamp_ms: time,
            received_ms: event.received_ms,
            release,
        };
        tally.met.push((self.count, met));
        self.count += 1;
    }

    /// Adds them to the tables.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn write(self, c: &Connection) -> rusqlite::Result<()> {
        for (source, release) in &self.releases {
            release::note(c, source, release)?;
        }
        let mut living: BTreeMap<i64, (Living, Vec<(usize, Met<'b>)>)> = BTreeMap::new();
        for (group, tally) in self.groups {
            write_hours(c, group, &tally.hours)?;
            write_releases(c, group, &tally.releases)?;
            let Some(found) = rows::load(c, group)? else { continue };
            let (left, met) = living.entry(found.id).or_insert((found, Vec::new()));
            write_users(c, group, left, &tally.users)?;
            met.extend(tally.met);
        }
        living.into_values().try_for_each(|(left, mut met)| {
            // Of groups that became one within the batch, in the order in which they came.
            met.sort_unstable_by_key(|(number, _)| *number);
            meet(c, left, met.into_iter().map(|(_, met)| met))
        })
    }
}

/// Takes the events in, one after the other.
fn meet<'b>(c: &Connection, mut group: Living, met: impl Iterator<Item = Met<'b>>) -> rusqlite::Result<()> {
    let mut changed = false;
    for event in met {
        if group.state.standing == Standing::Unresolved {
            break;
        }
        let standing = group.state.standing.clone();
        let source = &group.source;
        let compare = |release: &str, other: &str| release::compare(c, source, release, other);
        let turn = group.state.meet(&event, compare)?;
        changed |= group.state.standing != standing;
        if let Some(turn) = turn {
            note(c, group.id, turn, &event, &standing)?;
            rows::save(c, group.id, &group.state)?;
        }
    }
    if changed && group.state.standing != Standing::Unresolved {
        rows::save_rules(c, group.id, &group.state.standing)?;
    }
    Ok(())
}

fn note(c: &Connection, group: i64, turn: Turn, event: &Met<'_>, was: &Standing) -> rusqlite::Result<()> {
    let at = event.timestamp_ms.min(event.received_ms);
    match (turn, was) {
        (Turn::Regressed, _) => {
            let detail = event.release.map(|release| json!({ "release": release }).to_string());
            history::note_turn(c, group, at, "regressed", &detail.unwrap_or_default())
        }
        (Turn::TimeOver, was) => {
            let until = match was {
                Standing::Muted { until_ms, .. } => until_ms.unwrap_or(at),
                _ => at,
            };
            history::note_turn(c, group, until, "unmuted", r#"{"because":"its time was over"}"#)
        }
        (Turn::EnoughCame, was) => {
            let count = match was {
                Standing::Muted { more: Some(more), .. } => more.wanted,
                _ => 0,
            };
            let detail = json!({ "because": "enough events came", "count": count }).to_string();
            history::note_turn(c, group, event.received_ms, "unmuted", &detail)
        }
    }
}

fn write_hours(c: &Connection, group: i64, hours: &BTreeMap<i64, i64>) -> rusqlite::Result<()> {
    let mut add = c.prepare_cached(
        "INSERT INTO group_hours (group_id, hour, count) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET count = count + excluded.count RETURNING count",
    )?;
    let mut is_new = false;
    for (hour, count) in hours {
        let in_all: i64 = add.query_row([group, *hour, *count], |row| row.get(0))?;
        is_new |= in_all == *count;
    }
    if is_new {
        c.prepare_cached(
            "DELETE FROM group_hours WHERE group_id = ?1 AND hour <=
               (SELECT max(hour) FROM group_hours WHERE group_id = ?1) - ?2",
        )?
        .execute([group, HOURS_KEPT])?;
    }
    Ok(())
}

fn write_releases(c: &Connection, group: i64, releases: &BTreeMap<&str, Seen>) -> rusqlite::Result<()> {
    let mut add = c.prepare_cached(
        "INSERT INTO group_releases (group_id, release, first_seen, last_seen, count) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen),
           last_seen = max(last_seen, excluded.last_seen), count = count + excluded.count RETURNING count",
    )?;
    let mut is_new = false;
    for (release, seen) in releases {
        let row = params![group, release, seen.first, seen.last, seen.count];
        let in_all: i64 = add.query_row(row, |row| row.get(0))?;
        is_new |= in_all == seen.count;
    }
    if is_new {
        c.prepare_cached(
            "DELETE FROM group_releases WHERE group_id = ?1 AND release IN
               (SELECT release FROM group_releases WHERE group_id = ?1 ORDER BY last_seen DESC, release LIMIT -1 OFFSET ?2)",
        )?
        .execute([group, MOST_RELEASES])?;
    }
    Ok(())
}

/// Users that neither the group nor one that it swallowed has seen, until there are [`MOST_USERS`].
fn write_users(c: &Connection, group: i64, left: &mut Living, users: &BTreeSet<String>) -> rusqlite::Result<()> {
    let room = MOST_USERS - left.users;
    if users.is_empty() || room <= 0 {
        return Ok(());
    }
    let added = if left.is_alone {
        add_users(c, group, users, room)?
    } else {
        add_users_of_family(c, group, left.id, users, room)?
    };
    if added > 0 {
        left.users += added;
        c.prepare_cached("UPDATE groups SET users = ?2 WHERE id = ?1")?
            .execute([left.id, left.users])?;
    }
    Ok(())
}

/// To a group that swallowed none, which its own rows tell all of: most groups, and one step a user.
fn add_users(c: &Connection, group: i64, users: &BTreeSet<String>, room: i64) -> rusqlite::Result<i64> {
    let mut add =
        c.prepare_cached("INSERT INTO group_users (group_id, user) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    let mut added = 0;
    for user in users {
        if added == room {
            break;
        }
        added += i64::try_from(add.execute(params![group, user])?).unwrap_or(0);
    }
    Ok(added)
}

fn add_users_of_family(
    c: &Connection,
    group: i64,
    left: i64,
    users: &BTreeSet<String>,
    room: i64,
) -> rusqlite::Result<i64> {
    let added = c
        .prepare_cached(
            "INSERT INTO group_users (group_id, user)
             SELECT ?1, value FROM json_each(?2) WHERE NOT EXISTS
               (SELECT 1 FROM group_users WHERE user = value AND group_id IN
                 (SELECT ?3 UNION ALL SELECT id FROM groups WHERE parent = ?3))
             LIMIT ?4",
        )?
        .execute(params![group, json!(users).to_string(), left, room])?;
    Ok(i64::try_from(added).unwrap_or(0))
}
