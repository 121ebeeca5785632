//! What people do with groups (floor 2): resolve, reopen, mute; one or many at once.
//!
//! What must stay true: an act on a group that is so already changes nothing and writes no history, so that repeating it is
//! safe; an act on a swallowed group is one on the group that is left; the acts of one call are done all or none.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::list::{self, List};
use super::rows::{self, Living};
use super::state::{More, Reopens, Standing, State};
use super::view::{self, GroupView};
use super::{history, release};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::db::{Database, DbError, Effect, Operation};

/// Most groups that one call acts on.
pub const MOST_AT_ONCE: usize = 1000;

/// The release that has the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InRelease {
    /// This one: events of it or of a later one bring the group back.
    Named(String),
    /// The latest one that its source has named by now, likewise.
    Current,
    /// The one after that: events of a later one bring the group back.
    Next,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It was dealt with, in a release or for all of them.
    Resolve(Option<InRelease>),
    /// It wants attention again.
    Reopen,
    /// Nobody wants to hear of it.
    Mute {
        /// Until this moment, milliseconds since the epoch.
        until_ms: Option<i64>,
        /// Until so many events came, within so many milliseconds.
        more: Option<(u32, Option<i64>)>,
    },
}

/// Who does it, why and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// A token's name, or `local`.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// Why an act was not done; nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// No group has this id.
    NoGroup(i64),
    /// The source of the group has named no release yet.
    NoRelease {
        /// The group.
        group: i64,
        /// The source; `""` is that of events that name none.
        source: String,
    },
}

/// What became of one group of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It was changed.
    Done,
    /// It was so already.
    Unchanged,
    /// It could not be done.
    Not(Undone),
}

/// Does it with one group; how the group is then.
///
/// # Errors
/// Those of the database layer; inside, why it was not done.
pub async fn act(database: &Database, group: i64, act: Act, by: By) -> Result<Result<GroupView, Undone>, DbError> {
    let operation = Operation::write("groups.act").idempotent();
    let job = move |c: &Connection| {
        if let Acted::Not(why) = perform(c, group, &act, &by)? {
            return Ok(Effect::Rollback(Err(why)));
        }
        let shown = view::one(c, group, by.at_ms)?;
        Ok(Effect::Commit(shown.ok_or(Undone::NoGroup(group))))
    };
    database.write(operation, job).await
}

/// Does it with many groups: all of them, save those where it can't be done; what became of each.
///
/// # Errors
/// Those of the database layer: then nothing was done.
pub async fn act_on_all(database: &Database, groups: Vec<i64>, act: Act, by: By) -> Result<Vec<(i64, Acted)>, DbError> {
    let operation = Operation::write("groups.act").idempotent();
    let job = move |c: &Connection| {
        let one = |group: &i64| Ok((*group, perform(c, *group, &act, &by)?));
        groups
            .iter()
            .map(one)
            .collect::<rusqlite::Result<_>>()
            .map(Effect::Commit)
    };
    database.write(operation, job).await
}

/// Does it with the groups that match, at most [`MOST_AT_ONCE`] of them; what became of each, and whether there are more.
///
/// # Errors
/// Those of the database layer: then nothing was done.
pub async fn act_on_matching(
    database: &Database,
    list: List,
    act: Act,
    by: By,
) -> Result<(Vec<(i64, Acted)>, bool), DbError> {
    let job = move |c: &Connection| {
        let (groups, is_more) = list::matching(c, &list, MOST_AT_ONCE)?;
        let one = |group: i64| Ok((group, perform(c, group, &act, &by)?));
        let acted: rusqlite::Result<_> = groups.into_iter().map(one).collect();
        Ok(Effect::Commit((acted?, is_more)))
    };
    database.write(Operation::write("groups.act"), job).await
}

/// Does it with one group, inside the caller's transaction.
pub(super) fn perform(c: &Connection, group: i64, act: &Act, by: &By) -> rusqlite::Result<Acted> {
    let Some(mut found) = rows::load(c, group)? else {
        return Ok(Acted::Not(Undone::NoGroup(group)));
    };
    let until = found.state.muted_until_ms();
    if found.state.look(by.at_ms) {
        let until = until.unwrap_or(by.at_ms);
        history::note_turn(c, found.id, until, "unmuted", r#"{"because":"its time was over"}"#)?;
        rows::save(c, found.id, &found.state)?;
    }
    let wanted = match standing(c, &found, act, by)? {
        Ok(wanted) => wanted,
        Err(why) => return Ok(Acted::Not(why)),
    };
    if is_same(&found.state, &wanted) {
        return Ok(Acted::Unchanged);
    }
    let (action, detail) = told(&wanted);
    history::note_act(c, found.id, action, by, &detail)?;
    let state = State {
        standing: wanted,
        regressed_ms: None,
    };
    rows::save(c, found.id, &state)?;
    Ok(Acted::Done)
}

fn standing(c: &Connection, group: &Living, act: &Act, by: &By) -> rusqlite::Result<Result<Standing, Undone>> {
    let since_ms = by.at_ms;
    let reopens = match act {
        Act::Reopen => return Ok(Ok(Standing::Unresolved)),
        Act::Mute { until_ms, more } => {
            return Ok(Ok(Standing::Muted {
                since_ms,
                until_ms: *until_ms,
                more: more.map(|(wanted, span_ms)| More::new(wanted, span_ms)),
            }));
        }
        Act::Resolve(None) => Reopens::Any,
        Act::Resolve(Some(InRelease::Named(release))) => Reopens::From(release.clone()),
        Act::Resolve(Some(relative)) => match release::current(c, &group.source)? {
            Some(release) if *relative == InRelease::Next => Reopens::After(release),
            Some(release) => Reopens::From(release),
            None => {
                return Ok(Err(Undone::NoRelease {
                    group: group.id,
                    source: group.source.clone(),
                }));
            }
        },
    };
    Ok(Ok(Standing::Resolved { since_ms, reopens }))
}

/// Whether the group stands so already, whenever that began and however far it is.
fn is_same(state: &State, wanted: &Standing) -> bool {
    match (&state.standing, wanted) {
        (Standing::Unresolved, Standing::Unresolved) => true,
        (Standing::Resolved { reopens: is, .. }, Standing::Resolved { reopens, .. }) => is == reopens,
        (
            Standing::Muted {
                until_ms: is,
                more: rule,
                ..
            },
            Standing::Muted { until_ms, more, .. },
        ) => {
            let rule_of = |more: &Option<More>| more.as_ref().map(|more| (more.wanted, more.span_ms));
            is == until_ms && rule_of(rule) == rule_of(more)
        }
        _ => false,
    }
}

/// How the history calls it.
fn told(standing: &Standing) -> (&'static str, String) {
    let mut detail = Map::new();
    let action = match standing {
        Standing::Unresolved => "reopened",
        Standing::Resolved { reopens, .. } => {
            match reopens {
                Reopens::Any => {}
                Reopens::From(release) => drop(detail.insert("inRelease".into(), json!(release))),
                Reopens::After(release) => drop(detail.insert("afterRelease".into(), json!(release))),
            }
            "resolved"
        }
        Standing::Muted { until_ms, more, .. } => {
            if let Some(until) = until_ms {
                detail.insert("until".into(), json!(rfc3339_ms(from_epoch_ms(*until))));
            }
            if let Some(more) = more {
                detail.insert("untilCount".into(), json!(more.wanted));
                if let Some(span) = more.span_ms {
                    detail.insert("withinSeconds".into(), json!(span / 1000));
                }
            }
            "muted"
        }
    };
    let text = if detail.is_empty() {
        String::new()
    } else {
        Value::Object(detail).to_string()
    };
    (action, text)
}
