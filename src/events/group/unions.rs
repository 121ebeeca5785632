//! Groups that become one, and the record of it (floor 2).
//!
//! What must stay true: the oldest id stays; a swallowed group's parent is always a group that has none; its count moves in
//! the same transaction, its events keep their rows; every union can be undone, and what a hand undid or set apart the
//! engine leaves alone. The engine and the acts of hands call it, inside their transaction.

use rusqlite::{Connection, params};

use super::tables;
use super::template::Key;
use crate::events::life;

/// What united or parted groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Enough distinct words at one place.
    Widened = 0,
    /// A value where words had been.
    Absorbed = 1,
    /// By hand.
    Merged = 2,
    /// By hand.
    Split = 3,
    /// Another change was undone.
    Undone = 4,
}

/// What is kept of a change.
pub(super) struct Record<'a> {
    pub what: What,
    pub at: i64,
    pub key: Option<Key>,
    pub template: Option<String>,
    pub actor: Option<&'a str>,
}

/// What a union did.
pub(super) struct United {
    /// The group that is left.
    pub root: i64,
    /// The change's id; `None` when nothing had to be united.
    pub change: Option<i64>,
    /// The oldest of the groups that were meant, whatever stands for it.
    pub oldest_meant: i64,
    /// The swallowed groups, each with the one that has its events now.
    pub moved: Vec<(i64, i64)>,
}

/// Unites the group with these; groups that were set apart stay so, unless a hand asks.
pub(super) fn unite(c: &Connection, group: i64, others: &[i64], record: &Record<'_>) -> rusqlite::Result<United> {
    let by_hand = record.what == What::Merged;
    let (own, own_apart) = tables::root(c, group)?;
    let (mut roots, mut meant) = (vec![own], vec![if by_hand { own } else { group }]);
    if by_hand || !own_apart {
        for &other in others {
            let (root, apart) = tables::root(c, other)?;
            if by_hand || !apart {
                roots.push(root);
                meant.push(if by_hand { root } else { meant_by(c, other, record)? });
            }
        }
    }
    for groups in [&mut roots, &mut meant] {
        groups.sort_unstable();
        groups.dedup();
    }
    let (root, oldest_meant) = (roots[0], meant[0]);
    let mut united = United {
        root,
        oldest_meant,
        change: None,
        moved: Vec::new(),
    };
    if roots.len() == 1 && record.what == What::Absorbed {
        return Ok(united);
    }
    let change = note(c, record, root, others.len())?;
    note_left(c, change, root)?;
    for &swallowed in &roots[1..] {
        swallow(c, change, swallowed, root)?;
        life::swallowed(c, swallowed, root, record.at)?;
        united.moved.push((swallowed, root));
    }
    if meant != roots {
        note_meant(c, change, &meant)?;
    }
    united.change = Some(change);
    Ok(united)
}

/// The group that the rules mean: where they found the one that a key leads to now, the one that it was made for.
fn meant_by(c: &Connection, found: i64, record: &Record<'_>) -> rusqlite::Result<i64> {
    let made_for = match record.key {
        Some(key) => tables::made_for(c, key)?,
        None => None,
    };
    match made_for {
        Some(made_for) if tables::root(c, made_for)?.0 == found => Ok(made_for),
        _ => Ok(found),
    }
}

/// Writes down which groups were meant, where others stood for some of them.
fn note_meant(c: &Connection, change: i64, meant: &[i64]) -> rusqlite::Result<()> {
    let mut note = c.prepare_cached(
        "INSERT INTO group_moves (change_id, group_id, was, became) SELECT ?1, id, parent, NULL FROM groups WHERE id = ?2
         ON CONFLICT DO UPDATE SET became = NULL",
    )?;
    for group in meant {
        note.execute([change, *group])?;
    }
    Ok(())
}

/// Writes a change down.
pub(super) fn note(c: &Connection, record: &Record<'_>, group: i64, variants: usize) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "INSERT INTO group_changes (at, what, actor, group_id, hash, template, variants) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        record.at,
        record.what as u8,
        record.actor,
        group,
        record.key.map(Key::to_be_bytes),
        record.template,
        i64::try_from(variants).unwrap_or(i64::MAX),
    ])?;
    Ok(c.last_insert_rowid())
}

/// Writes down how the group was that is left.
fn note_left(c: &Connection, change: i64, root: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO group_moves (change_id, group_id, was, became, first_seen, last_seen)
         SELECT ?1, id, NULL, id, first_seen, last_seen FROM groups WHERE id = ?2",
    )?
    .execute([change, root])?;
    Ok(())
}

/// Everything of `swallowed` belongs to `root` from now on.
fn swallow(c: &Connection, change: i64, swallowed: i64, root: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO group_moves (change_id, group_id, was, became)
         SELECT ?1, id, parent, ?3 FROM groups WHERE id = ?2 OR parent = ?2",
    )?
    .execute([change, swallowed, root])?;
    c.prepare_cached(
        "UPDATE groups SET count = groups.count + s.count, first_seen = min(groups.first_seen, s.first_seen),
           last_seen = max(groups.last_seen, s.last_seen), severity = max(groups.severity, s.severity)
         FROM groups s WHERE groups.id = ?2 AND s.id = ?1",
    )?
    .execute([swallowed, root])?;
    c.prepare_cached(
        "UPDATE groups SET parent = ?2, count = CASE id WHEN ?1 THEN 0 ELSE count END WHERE id = ?1 OR parent = ?1",
    )?
    .execute([swallowed, root])?;
    Ok(())
}
