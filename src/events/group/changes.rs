//! The changes that hang together with some groups, as they were written down (floor 2): what `placing` replays.
//!
//! What must stay true: it only reads; with a change it finds every other one that touched any of the same groups, and what
//! touched those, so that what a replay says of these groups depends on nothing else.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, params};

use super::unions::What;

/// A key's hash, as the tables have it.
pub(super) type Hash = [u8; 16];

/// What a change did, by the groups that it meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Did {
    /// These became one.
    United(Vec<i64>),
    /// Each of these stands for itself.
    Released(Vec<i64>),
    /// A group was made of keys, each with the group that it had.
    Parted { made: i64, keys: Vec<(Hash, i64)> },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub id: i64,
    pub by_hand: bool,
    /// It is about a template's key, which is barred when it is undone.
    pub about_key: bool,
    pub undone: bool,
    pub did: Did,
}

/// A group's present row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// The group that stands for it.
    pub root: i64,
    /// How many keys it has that no change ever moved.
    pub keys: i64,
}

/// Changes in the order in which they were made, with all groups that they touched.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub all: Vec<Change>,
    /// Those that there still are.
    pub groups: HashMap<i64, Group>,
    /// The keys that a change ever moved and that there still are, each with its present group.
    pub keys: HashMap<Hash, i64>,
}

/// The changes that hang together with these groups.
pub(super) fn around(c: &Connection, groups: &[i64]) -> rusqlite::Result<Changes> {
    let (mut ids, mut seen) = (BTreeSet::new(), HashSet::new());
    let mut next: Vec<i64> = groups.to_vec();
    while let Some(group) = next.pop() {
        if !seen.insert(group) {
            continue;
        }
        for change in touching(c, group)? {
            if ids.insert(change) {
                next.extend(touched(c, change)?);
            }
        }
    }
    let mut found = Changes::default();
    for id in ids {
        found.all.extend(change(c, id)?);
    }
    read_present(c, &mut found, seen)?;
    Ok(found)
}

/// The changes that touched a group, undoings left out.
fn touching(c: &Connection, group: i64) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached(
        "SELECT id FROM group_changes WHERE group_id = ?1 AND what <> ?2
         UNION SELECT change_id FROM group_moves WHERE group_id = ?1 UNION SELECT change_id FROM group_moves WHERE was = ?1",
    )?
    .query_map([group, What::Undone as i64], |row| row.get(0))?
    .collect()
}

/// The groups that a change touched.
fn touched(c: &Connection, change: i64) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached(
        "SELECT group_id FROM group_changes WHERE id = ?1 UNION SELECT group_id FROM group_moves WHERE change_id = ?1
         UNION SELECT was FROM group_moves WHERE change_id = ?1 AND was IS NOT NULL",
    )?
    .query_map([change], |row| row.get(0))?
    .collect()
}

/// One row of a change.
struct Move {
    group: i64,
    hash: Vec<u8>,
    was: Option<i64>,
    became: Option<i64>,
}

fn change(c: &Connection, id: i64) -> rusqlite::Result<Option<Change>> {
    let moves: Vec<Move> = c
        .prepare_cached("SELECT group_id, hash, was, became FROM group_moves WHERE change_id = ?1")?
        .query_map([id], |row| {
            Ok(Move {
                group: row.get(0)?,
                hash: row.get(1)?,
                was: row.get(2)?,
                became: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut head = c.prepare_cached(
        "SELECT what, group_id, hash IS NOT NULL, undone IS NOT NULL FROM group_changes WHERE id = ?1",
    )?;
    let mut rows = head.query(params![id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (what, group): (i64, i64) = (row.get(0)?, row.get(1)?);
    let did = if what == What::Split as i64 {
        split(&moves)
    } else {
        Did::United(meant(group, &moves))
    };
    Ok(Some(Change {
        id,
        by_hand: what == What::Split as i64 || what == What::Merged as i64,
        about_key: row.get(2)?,
        undone: row.get(3)?,
        did,
    }))
}

fn split(moves: &[Move]) -> Did {
    let mut keys = Vec::new();
    for one in moves {
        if let (Ok(hash), Some(was)) = (Hash::try_from(one.hash.as_slice()), one.was) {
            keys.push((hash, was));
        }
    }
    let groups = || moves.iter().filter(|one| one.hash.is_empty()).map(|one| one.group);
    match groups().next() {
        Some(made) if !keys.is_empty() => Did::Parted { made, keys },
        _ => Did::Released(groups().collect()),
    }
}

/// The groups that a union meant: those that are named, else the ones that stood for themselves.
fn meant(group: i64, moves: &[Move]) -> Vec<i64> {
    let mut meant: Vec<i64> = moves
        .iter()
        .filter(|one| one.became.is_none())
        .map(|one| one.group)
        .collect();
    if meant.is_empty() {
        meant.push(group);
        meant.extend(moves.iter().filter(|one| one.was.is_none()).map(|one| one.group));
    }
    meant.sort_unstable();
    meant.dedup();
    meant
}

fn read_present(c: &Connection, found: &mut Changes, groups: HashSet<i64>) -> rusqlite::Result<()> {
    for change in &found.all {
        let Did::Parted { keys, .. } = &change.did else {
            continue;
        };
        for (hash, _) in keys {
            if let Some(group) = super::tables::made_for(c, u128::from_be_bytes(*hash))? {
                found.keys.insert(*hash, group);
            }
        }
    }
    let mut count = c.prepare_cached("SELECT count(*) FROM group_keys WHERE group_id = ?1")?;
    for group in groups {
        if let Some(root) = super::family::root(c, group)? {
            let moved = found.keys.values().filter(|at| **at == group).count();
            let keys = count.query_row([group], |row| row.get::<_, i64>(0))? - i64::try_from(moved).unwrap_or(i64::MAX);
            found.groups.insert(group, Group { root, keys });
        }
    }
    Ok(())
}
