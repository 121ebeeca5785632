//! Merge, split and undo by hand (floor 2): what people decide about groups.
//!
//! What must stay true: a hand beats the rules: what it split, or undid, the rules never unite again; each act is one change
//! that can be undone; events keep their rows, unless a split moves them. All of it runs inside the caller's write
//! transaction, which must commit or roll back as a whole; the engine notices by the tables' epoch.
//!
//! For the routes: `merge` answers POST …/groups/{id}/merge, `split` …/split, `undo` takes a change's id from either
//! answer or from the explanation. [`Refused`] is the caller's mistake (404, 409 or 422), the outer error is SQLite's.

use rusqlite::{Connection, OptionalExtension, params};

use super::family::{family, root};
use super::tables::{self, How};
use super::template::Key;
use super::unions::{self, Record, What};
use crate::events::life;

/// Most stored events of a group that a split looks through, newest first.
pub const MOST_LOOKED_AT: i64 = 10_000;

/// What an act did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The change, for [`undo`].
    pub change: i64,
    /// The group that is left, or that was made.
    pub group: i64,
    /// How many stored events changed their group's id.
    pub events: u64,
}

/// Why an act was not done; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No group has this id.
    #[error("there is no group {}", crate::events::wire::group_name(*.0))]
    NoGroup(i64),
    /// The groups are one already, or none was named.
    #[error("name at least two groups that aren't one yet")]
    NothingToMerge,
    /// Nothing of the group was selected, or all of it.
    #[error("select some of the group's aliases, keys or events, and not all of its keys")]
    NothingToSplit,
    /// No change has this id.
    #[error("there is no change {0}")]
    NoChange(i64),
    /// It was undone before, or is itself an undoing.
    #[error("change {0} was undone already, or can't be")]
    NotUndoable(i64),
}

/// What a split takes out of a group.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Groups that it swallowed: each stands for itself again.
    Aliases(Vec<i64>),
    /// Keys, as the explanation shows them: they become one new group, with the newest stored events of theirs.
    Keys(Vec<u128>),
    /// Events by their ids: the same for their keys.
    Events(Vec<uuid::Uuid>),
}

/// What an act gives.
pub type Act = rusqlite::Result<Result<Done, Refused>>;

/// Makes groups one: the oldest id stays.
///
/// # Errors
/// Those of SQLite, outside; inside, why it wasn't done.
pub fn merge(c: &Connection, groups: &[i64], actor: Option<&str>, at_ms: i64) -> Act {
    let mut roots = Vec::with_capacity(groups.len());
    for &group in groups {
        match root(c, group)? {
            Some(root) => roots.push(root),
            None => return Ok(Err(Refused::NoGroup(group))),
        }
    }
    roots.sort_unstable();
    roots.dedup();
    let [first, others @ ..] = roots.as_slice() else {
        return Ok(Err(Refused::NothingToMerge));
    };
    if others.is_empty() {
        return Ok(Err(Refused::NothingToMerge));
    }
    tables::touch(c)?;
    let record = record(What::Merged, actor, at_ms);
    let united = unions::unite(c, *first, others, &record)?;
    Ok(united.change.map_or(Err(Refused::NothingToMerge), |change| {
        Ok(Done {
            change,
            group: united.root,
            events: 0,
        })
    }))
}

/// Takes a part out of a group.
///
/// # Errors
/// Those of SQLite, outside; inside, why it wasn't done.
pub fn split(c: &Connection, group: i64, selection: &Selection, actor: Option<&str>, at_ms: i64) -> Act {
    let family = family(c, group)?;
    let Some(&root) = family.first() else {
        return Ok(Err(Refused::NoGroup(group)));
    };
    let record = record(What::Split, actor, at_ms);
    match selection {
        Selection::Aliases(aliases) => release(c, root, &family, aliases, &record),
        Selection::Keys(keys) => super::parting::part(c, root, &family, keys, &record),
        Selection::Events(ids) => {
            let keys = super::parting::keys_of_events(c, &family, ids)?;
            super::parting::part(c, root, &family, &keys, &record)
        }
    }
}

fn record<'a>(what: What, actor: Option<&'a str>, at: i64) -> Record<'a> {
    Record {
        what,
        at,
        key: None,
        template: None,
        actor,
    }
}

/// Swallowed groups stand for themselves again.
fn release(c: &Connection, root: i64, family: &[i64], aliases: &[i64], record: &Record<'_>) -> Act {
    if aliases.is_empty() || !aliases.iter().all(|id| family[1..].contains(id)) {
        return Ok(Err(Refused::NothingToSplit));
    }
    tables::touch(c)?;
    let change = unions::note(c, record, root, aliases.len())?;
    for &alias in aliases {
        move_group(c, change, alias, Some(root), None)?;
        c.execute("UPDATE groups SET apart = 1 WHERE id = ?1", [alias])?;
        life::parted(c, root, alias)?;
        recount(c, alias)?;
    }
    recount(c, root)?;
    Ok(Ok(Done {
        change,
        group: aliases[0],
        events: 0,
    }))
}

/// Moves a group and writes it down.
fn move_group(c: &Connection, change: i64, group: i64, was: Option<i64>, became: Option<i64>) -> rusqlite::Result<()> {
    c.execute(
        "INSERT INTO group_moves (change_id, group_id, was, became) VALUES (?1, ?2, ?3, ?4)",
        params![change, group, was, became],
    )?;
    c.execute("UPDATE groups SET parent = ?2 WHERE id = ?1", params![group, became])?;
    Ok(())
}

/// Counts a group's events anew, those that left among them; when it was seen is only widened, never narrowed.
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

/// Takes a change back: groups and keys go where they were, and the rules never make the same change again. Events that
/// came since stay with the group that they were given.
///
/// # Errors
/// Those of SQLite, outside; inside, why it wasn't done.
pub fn undo(c: &Connection, change: i64, actor: Option<&str>, at_ms: i64) -> Act {
    let found: Option<(i64, i64, Option<[u8; 16]>, bool)> = c
        .query_row(
            "SELECT what, group_id, hash, undone IS NOT NULL FROM group_changes WHERE id = ?1",
            [change],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((what, group, hash, undone)) = found else {
        return Ok(Err(Refused::NoChange(change)));
    };
    if undone || what == What::Undone as i64 {
        return Ok(Err(Refused::NotUndoable(change)));
    }
    tables::touch(c)?;
    let undoing = unions::note(c, &record(What::Undone, actor, at_ms), group, 0)?;
    c.execute("UPDATE group_changes SET undone = ?2 WHERE id = ?1", [change, undoing])?;
    if let Some(hash) = hash.filter(|_| what != What::Split as i64) {
        c.execute(
            "UPDATE group_keys SET how = ?2 WHERE hash = ?1",
            params![hash, How::Barred as u8],
        )?;
    }
    let mut touched = put_back(c, change, what == What::Split as i64, at_ms)?;
    if let Some(root) = root(c, group)? {
        touched.push(root);
    }
    for group in touched {
        recount(c, group)?;
    }
    Ok(Ok(Done {
        change: undoing,
        group,
        events: 0,
    }))
}

/// A group or a key (of which the hash is not empty) with where it was and where it went.
type Move = (i64, Option<i64>, Option<i64>, Vec<u8>);

/// Undoes a change's moves, where nothing has moved the same since; the groups whose events changed.
fn put_back(c: &Connection, change: i64, joins: bool, at_ms: i64) -> rusqlite::Result<Vec<i64>> {
    let moves: Vec<Move> = c
        .prepare_cached(
            "SELECT group_id, was, became, hash FROM group_moves WHERE change_id = ?1 ORDER BY hash, group_id",
        )?
        .query_map([change], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut touched = Vec::new();
    for (group, was, became, hash) in moves {
        if !hash.is_empty() {
            c.execute(
                "UPDATE group_keys SET group_id = ?2 WHERE hash = ?1 AND group_id = ?3",
                params![hash, was, became],
            )?;
            continue;
        }
        let changed = c.execute(
            "UPDATE groups SET parent = ?2, apart = ?4 WHERE id = ?1 AND parent IS ?3",
            params![group, was, became, !joins],
        )?;
        if changed == 1 {
            touched.push(group);
            touched.extend(was);
            touched.extend(became);
            match (was, became) {
                (None, Some(whole)) => life::parted(c, whole, group)?,
                (Some(into), None) => life::swallowed(c, group, into, at_ms)?,
                _ => {}
            }
        }
    }
    touched.sort_unstable();
    touched.dedup();
    let mut roots = Vec::with_capacity(touched.len());
    for group in touched {
        // What is swallowed counts nothing of its own.
        let is_root = root(c, group)? == Some(group);
        if is_root {
            roots.push(group);
        } else {
            c.execute("UPDATE groups SET count = 0 WHERE id = ?1", [group])?;
        }
    }
    Ok(roots)
}

/// A key as 32 hexadecimal digits, the way the explanation shows it.
pub fn parse_key(text: &str) -> Option<Key> {
    (text.len() == 32).then(|| Key::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests;
