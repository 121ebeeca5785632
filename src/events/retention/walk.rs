//! A walk over all events, group by group and in the order of time, without reading one of them (floor 2): the index
//! of groups has all that is needed.
//!
//! What must stay true: a step reads a bounded number of entries and ends its read, so that no snapshot of the log is held;
//! memory doesn't grow with the number of events or of groups; events that come or leave meanwhile only shift what is
//! the latest. Called by the runner.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Connection, OptionalExtension};

use super::value::{Facts, Tier, at_least, rank};
use crate::events::life::Status;
use crate::events::model::Severity;
use crate::events::order::{end_of_ms, first_place};

/// Entries of one step: a few milliseconds.
pub const STEP: usize = 8192;
/// Groups and releases of one step that are looked up: a step over many small groups ends early.
const MOST_LOOKED_UP: usize = 1000;
/// So many of the newest events of a group are kept as long as anything else can leave.
pub const LATEST: usize = 20;

/// Some entries of the index, with what is known of the groups that begin in them.
#[derive(Debug)]
pub struct Step {
    /// Group and place, in that order.
    entries: Vec<(i64, i64)>,
    facts: BTreeMap<i64, Facts>,
}

/// Reads the entries after one, at most `most` (not 0); none at the end. Groups stand as they do at `now_ms`.
///
/// # Errors
/// Those of SQLite.
pub fn step(c: &Connection, after: Option<(i64, i64)>, most: usize, now_ms: i64) -> rusqlite::Result<Step> {
    let mut entries: Vec<(i64, i64)> = Vec::with_capacity(most);
    if let Some((group, at)) = after {
        let mut rest = c.prepare_cached(REST_OF_GROUP)?;
        let found = rest.query_map((group, at, limit(most)), |row| Ok((group, row.get(0)?)))?;
        entries.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let room = most - entries.len();
    if room > 0 {
        let mut further = c.prepare_cached(FURTHER_GROUPS)?;
        let above = after.map_or(i64::MIN, |(group, _)| group);
        let found = further.query_map((above, limit(room)), |row| Ok((row.get(0)?, row.get(1)?)))?;
        entries.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let (mut facts, mut looked_up) = (BTreeMap::new(), 0);
    let (known, mut end) = (after.map(|(group, _)| group), entries.len());
    for (number, (group, _)) in entries.iter().enumerate() {
        // What is known of the group that the last step ended in, the walk has kept.
        if Some(*group) == known || facts.contains_key(group) {
            continue;
        }
        if looked_up > MOST_LOOKED_UP {
            end = number;
            break;
        }
        let of = facts_of(c, *group, now_ms)?;
        looked_up += 1 + of.releases.len();
        facts.insert(*group, of);
    }
    entries.truncate(end);
    Ok(Step { entries, facts })
}

const REST_OF_GROUP: &str =
    "SELECT at FROM events INDEXED BY events_by_group WHERE group_id = ?1 AND at > ?2 ORDER BY at LIMIT ?3";
const FURTHER_GROUPS: &str =
    "SELECT group_id, at FROM events INDEXED BY events_by_group WHERE group_id > ?1 ORDER BY group_id, at LIMIT ?2";

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// What a group says of its events. A swallowed group's row has the status of the one that swallowed it.
fn facts_of(c: &Connection, group: i64, now_ms: i64) -> rusqlite::Result<Facts> {
    let known = c
        .prepare_cached("SELECT severity, status, muted_until FROM groups WHERE id = ?1")?
        .query_row([group], |row| {
            Ok((row.get(0)?, Status::at(row.get(1)?, row.get(2)?, now_ms)))
        })
        .optional()?;
    let (severity, status) = known.unwrap_or((0, Status::Unresolved));
    let mut began = c.prepare_cached("SELECT release, first_seen FROM group_releases WHERE group_id = ?1")?;
    let mut first = c.prepare_cached(
        "SELECT at FROM events WHERE at >= ?1 AND at < ?2 AND group_id = ?3 AND release = ?4 ORDER BY at LIMIT 1",
    )?;
    let mut releases = Vec::new();
    let mut rows = began.query([group])?;
    while let Some(row) = rows.next()? {
        let (release, ms): (String, i64) = (row.get(0)?, row.get(1)?);
        let place = first_place(ms);
        let found = first.query_row((place, end_of_ms(place), group, release), |row| row.get::<_, i64>(0));
        releases.extend(found.optional()?);
    }
    releases.sort_unstable();
    Ok(Facts {
        severity: Severity::from_number(severity),
        status,
        releases,
    })
}

/// Where a walk is, and what it knows of the present group.
#[derive(Debug)]
pub struct Walk {
    now_ms: i64,
    last: Option<(i64, i64)>,
    facts: Option<Facts>,
    /// The newest events seen of the present group: they are ranked once it is known whether they are its latest.
    held: VecDeque<(i64, u16)>,
}

impl Walk {
    /// At the beginning; ages are those of `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self {
            now_ms,
            last: None,
            facts: None,
            held: VecDeque::with_capacity(LATEST + 1),
        }
    }

    /// The moment by which it judges, milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The last entry that was taken: the next step begins after it.
    pub fn position(&self) -> Option<(i64, i64)> {
        self.last
    }

    /// Takes a step's entries; `tell` hears the place and the rank of each event once. Whether there may be more.
    pub fn take(&mut self, step: Step, mut tell: impl FnMut(i64, u16)) -> bool {
        let Step { entries, mut facts } = step;
        if entries.is_empty() {
            self.end_group(&mut tell);
            return false;
        }
        for (group, at) in entries {
            let before = self.last.filter(|(last, _)| *last == group).map(|(_, at)| at);
            if before.is_none() {
                self.end_group(&mut tell);
                self.facts = facts.remove(&group);
            }
            // The facts of every group that a step names come with it.
            let Some(known) = &self.facts else { continue };
            self.held.push_back((at, rank(before, at, known, self.now_ms)));
            if self.held.len() > LATEST
                && let Some((at, rank)) = self.held.pop_front()
            {
                tell(at, rank);
            }
            self.last = Some((group, at));
        }
        true
    }

    fn end_group(&mut self, tell: &mut impl FnMut(i64, u16)) {
        for (at, rank) in self.held.drain(..) {
            tell(at, at_least(rank, Tier::Latest));
        }
    }
}

#[cfg(test)]
mod tests;
