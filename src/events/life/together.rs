//! Merge, split and undo as people ask for them (floor 2): the grouping does it, the history tells of it.
//!
//! What must stay true: the change and its entry are one transaction; nothing is written where it was refused.

use rusqlite::Connection;
use serde_json::json;

use super::acts::By;
use super::history;
use crate::db::{Database, DbError, Effect, Operation};
use crate::events::group::{self, Done, Refused, Selection};
use crate::events::wire::group_name;

/// What is asked of the grouping.
#[derive(Debug, Clone)]
pub enum Change {
    /// These become one; the oldest id stays.
    Merge(Vec<i64>),
    /// A part of this one stands for itself.
    Split(i64, Selection),
    /// A change of this group is taken back.
    Undo(i64, i64),
}

/// Does it.
///
/// # Errors
/// Those of the database layer; inside, why it was not done.
pub async fn change(database: &Database, wanted: Change, by: By) -> Result<Result<Done, Refused>, DbError> {
    let job = move |c: &Connection| {
        Ok(match perform(c, &wanted, &by)? {
            Ok(done) => Effect::Commit(Ok(done)),
            Err(refused) => Effect::Rollback(Err(refused)),
        })
    };
    database.write(Operation::write("groups.change"), job).await
}

pub(super) fn perform(c: &Connection, wanted: &Change, by: &By) -> rusqlite::Result<Result<Done, Refused>> {
    let actor = Some(by.actor.as_str());
    let (action, done) = match wanted {
        Change::Merge(groups) => ("merged", group::merge(c, groups, actor, by.at_ms)?),
        Change::Split(id, selection) => ("split", group::split(c, *id, selection, actor, by.at_ms)?),
        Change::Undo(id, change) => {
            if group::root(c, *id)?.is_none() {
                return Ok(Err(Refused::NoGroup(*id)));
            }
            if !group::touched_by(c, *id, *change)? {
                return Ok(Err(Refused::NoChange(*change)));
            }
            ("undone", group::undo(c, *change, actor, by.at_ms)?)
        }
    };
    let done = match done {
        Ok(done) => done,
        Err(refused) => return Ok(Err(refused)),
    };
    tell(c, wanted, &done, action, by)?;
    Ok(Ok(done))
}

/// Writes it into the history of every group that it touched and that stands for itself now.
fn tell(c: &Connection, wanted: &Change, done: &Done, action: &str, by: &By) -> rusqlite::Result<()> {
    let detail = match wanted {
        Change::Merge(groups) => {
            let others = groups.iter().filter(|id| **id != done.group);
            json!({ "change": done.change, "with": others.map(|id| group_name(*id)).collect::<Vec<_>>() })
        }
        Change::Split(id, _) => {
            json!({ "change": done.change, "from": group_name(*id), "into": group_name(done.group) })
        }
        Change::Undo(_, change) => json!({ "change": done.change, "undid": change }),
    };
    let change = match wanted {
        Change::Undo(_, change) => *change,
        Change::Merge(_) | Change::Split(..) => done.change,
    };
    let detail = detail.to_string();
    for group in group::touched_roots(c, change)? {
        history::note_act(c, group, action, by, &detail)?;
    }
    Ok(())
}
