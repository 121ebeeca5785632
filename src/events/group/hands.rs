//! Merge and split by hand (floor 2): what people decide about groups; `undoing` takes it back.
//!
//! What must stay true: a hand beats the rules: what it split, or undid of theirs, the rules never unite again; each act is
//! one change that can be undone; events keep their rows in a union, and go with their keys when groups part. All of it runs inside the caller's write
//! transaction, which must commit or roll back as a whole; the engine notices by the tables' epoch.
//!
//! For the routes: `merge` answers POST …/groups/{id}/merge, `split` …/split, `undo` takes a change's id from either
//! answer or from the explanation. [`Refused`] is the caller's mistake (404, 409 or 422), the outer error is SQLite's.

use rusqlite::Connection;

use super::family::{family, root};
use super::template::Key;
use super::unions::{self, Record, What};
use super::{changes, settling, tables};

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
    /// A later change has to be undone before it: it would have nothing to do, or this one would change nothing now.
    #[error("change {change} can't be undone while change {first} stands; undo change {first} first")]
    After {
        /// The one that was to be undone.
        change: i64,
        /// The one to begin with.
        first: i64,
    },
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

pub(super) fn record<'a>(what: What, actor: Option<&'a str>, at: i64) -> Record<'a> {
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
    let mut aliases = aliases.to_vec();
    aliases.sort_unstable();
    aliases.dedup();
    let nothing = aliases.is_empty() || !aliases.iter().all(|id| family[1..].contains(id));
    if nothing || !changes::around(c, &[root])?.may_leave(&aliases) {
        return Ok(Err(Refused::NothingToSplit));
    }
    tables::touch(c)?;
    let change = unions::note(c, record, root, aliases.len())?;
    for alias in &aliases {
        c.prepare_cached("INSERT INTO group_moves (change_id, group_id, was, became) VALUES (?1, ?2, ?3, NULL)")?
            .execute([change, *alias, root])?;
    }
    let events = settling::settle(c, &changes::around(c, &[root])?, record.at)?;
    Ok(Ok(Done {
        change,
        group: aliases[0],
        events,
    }))
}

/// A key as 32 hexadecimal digits, the way the explanation shows it.
pub fn parse_key(text: &str) -> Option<Key> {
    (text.len() == 32).then(|| Key::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests;
