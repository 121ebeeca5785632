//! What the present rules, or others, would make of stored events (floor 2): a replay in memory, before anybody relies on it.
//!
//! What must stay true: it changes nothing; it runs the very engine that new events meet.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::Serialize;

use super::engine::Engine;
use super::family::root;
use super::modes::{self, Choice, Mode, set_mode};
use super::{Rules, scan, stored};
use crate::db::{Database, DbError, Operation};
use crate::events::schema;
use crate::events::wire::group_name;

/// Most changes of each kind that are named.
const MOST_NAMED: usize = 100;

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// How many of the newest events were looked at.
    pub events: u64,
    /// How many groups they are in now.
    pub groups_now: usize,
    /// How many they would be in.
    pub groups_then: usize,
    /// Groups whose events would be in several, at most 100.
    pub split: Vec<Regrouped>,
    /// Groups whose events would be with those of others, at most 100.
    pub merged: Vec<Regrouped>,
}

/// Events that would be grouped otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Regrouped {
    /// The groups now.
    pub groups: Vec<String>,
    /// The templates then.
    pub templates: Vec<String>,
}

/// In what a preview differs from the present rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Otherwise {
    /// This source is grouped so; `""` is that of events that name none.
    pub mode: Option<(String, Mode)>,
    /// A place of words is one of a value after so many distinct ones, within [`super::THRESHOLDS`].
    pub threshold: Option<usize>,
    /// This version of the rules decides.
    pub rules: Rules,
}

/// Groups the newest events anew, in memory, and compares.
///
/// # Errors
/// Those of the database layer.
pub async fn preview_of(database: &Database, newest: u32, otherwise: Otherwise) -> Result<Preview, DbError> {
    let read = move |c: &Connection| preview(c, newest, &otherwise);
    database.read(Operation::scan("groups.preview"), read).await
}

/// The same inside a read.
///
/// # Errors
/// Those of SQLite.
pub fn preview(c: &Connection, newest: u32, otherwise: &Otherwise) -> rusqlite::Result<Preview> {
    let memory = workspace()?;
    let mut engine = Engine::of(otherwise.rules);
    if let Some(threshold) = otherwise.threshold {
        engine = engine.with_threshold(threshold);
    }
    memory.execute_batch("BEGIN")?;
    let chosen = modes::listed(c)?.into_iter();
    let wanted = otherwise.mode.iter().map(|(source, mode)| Choice {
        source: source.clone(),
        mode: *mode,
        actor: None,
        at_ms: None,
    });
    chosen.chain(wanted).try_for_each(|choice| set_mode(&memory, &choice))?;
    engine.begin(&memory)?;
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    stored::newest(c, i64::from(newest), |group, event| {
        let subject = event.subject();
        let then = engine.resolve(&memory, &scan(subject), &subject)?;
        pairs.push((root(c, group)?.unwrap_or(group), then));
        Ok(())
    })?;
    let mut then_of: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    let mut now_of: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (now, then) in &mut pairs {
        *then = engine.root(*then);
        then_of.entry(*now).or_default().insert(*then);
        now_of.entry(*then).or_default().insert(*now);
    }
    let templates = |ids: &BTreeSet<i64>| {
        ids.iter()
            .map(|id| template_of(&memory, *id))
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    let mut made = Preview {
        events: pairs.len() as u64,
        groups_now: then_of.len(),
        groups_then: now_of.len(),
        ..Preview::default()
    };
    for (now, then) in then_of.iter().filter(|(_, then)| then.len() > 1).take(MOST_NAMED) {
        made.split.push(Regrouped {
            groups: vec![group_name(*now)],
            templates: templates(then)?,
        });
    }
    for (then, now) in now_of.iter().filter(|(_, now)| now.len() > 1).take(MOST_NAMED) {
        let groups = now.iter().map(|id| group_name(*id)).collect();
        made.merged.push(Regrouped {
            groups,
            templates: vec![template_of(&memory, *then)?],
        });
    }
    Ok(made)
}

/// A database of its own with the event log's schema, which goes to a temporary file only when it grows beyond SQLite's cache.
///
/// # Errors
/// Those of SQLite.
pub fn workspace() -> rusqlite::Result<Connection> {
    let connection = Connection::open("")?;
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    for step in schema::MIGRATIONS {
        connection.execute_batch(step.sql)?;
    }
    Ok(connection)
}

/// A group's template by now.
///
/// # Errors
/// Those of SQLite.
pub fn template_of(c: &Connection, group: i64) -> rusqlite::Result<String> {
    c.prepare_cached(
        "SELECT r.template FROM groups g JOIN groups r ON r.id = coalesce(g.parent, g.id) WHERE g.id = ?1",
    )?
    .query_row([group], |row| row.get(0))
}

#[cfg(test)]
mod tests;
