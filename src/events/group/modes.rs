//! Sources that want no learned grouping (floor 2).
//!
//! What must stay true: a choice is for events that come after it; those before stay where they are, and go on naming their
//! groups. The engine reads the choices with the rest of its tables; handlers list and make them.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::tables;
use crate::db::{Database, DbError, Effect, Operation};

/// Most sources that have chosen: the engine holds all of them in memory.
pub const MOST_CHOICES: i64 = 1000;

/// How a source's events are grouped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By client fingerprint, exception or template, and what was learned of templates.
    #[default]
    Learned = 0,
    /// By client fingerprint, else by the exception's type and the very text: nothing is masked.
    Exact = 1,
    /// By client fingerprint; all events without one are one group for each type.
    Fingerprint = 2,
}

impl Mode {
    /// Every mode, by its number.
    pub const ALL: [Mode; 3] = [Self::Learned, Self::Exact, Self::Fingerprint];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Exact => "exact",
            Self::Fingerprint => "fingerprint",
        }
    }

    /// The mode of a word on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What one source has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The source; `""` is that of events that name none.
    pub source: String,
    /// How its events are grouped.
    pub mode: Mode,
    /// Who chose; `None` where that was not kept.
    pub actor: Option<String>,
    /// When, milliseconds since the epoch.
    pub at_ms: Option<i64>,
}

/// The sources that don't use the learned grouping, by their names.
///
/// # Errors
/// Those of the database layer.
pub async fn choices(database: &Database) -> Result<Vec<Choice>, DbError> {
    database.read(Operation::scan("groups.modes"), listed).await
}

/// Makes a choice, on disk when this comes back; the choices then, or `None` where [`MOST_CHOICES`] sources have chosen
/// already.
///
/// # Errors
/// Those of the database layer.
pub async fn choose(database: &Database, choice: Choice) -> Result<Option<Vec<Choice>>, DbError> {
    let job = move |c: &Connection| {
        set_mode(c, &choice)?;
        let made = listed(c)?;
        Ok(if made.len() as i64 > MOST_CHOICES {
            Effect::Rollback(None)
        } else {
            Effect::Commit(Some(made))
        })
    };
    database
        .write(Operation::write("groups.choose_mode").idempotent(), job)
        .await
}

/// Sets how a source's new events are grouped. Runs inside the caller's transaction.
///
/// # Errors
/// Those of SQLite.
pub fn set_mode(c: &Connection, choice: &Choice) -> rusqlite::Result<()> {
    tables::touch(c)?;
    if choice.mode == Mode::Learned {
        c.execute("DELETE FROM group_modes WHERE source = ?1", [&choice.source])?;
    } else {
        c.execute(
            "INSERT OR REPLACE INTO group_modes (source, mode, actor, at) VALUES (?1, ?2, ?3, ?4)",
            params![choice.source, choice.mode as u8, choice.actor, choice.at_ms],
        )?;
    }
    Ok(())
}

/// The sources that don't use the learned grouping, by their names, inside a read.
///
/// # Errors
/// Those of SQLite.
pub fn listed(c: &Connection) -> rusqlite::Result<Vec<Choice>> {
    c.prepare_cached("SELECT source, mode, actor, at FROM group_modes ORDER BY source")?
        .query_map([], |row| {
            Ok(Choice {
                source: row.get(0)?,
                mode: from_number(row.get(1)?),
                actor: row.get(2)?,
                at_ms: row.get(3)?,
            })
        })?
        .collect()
}

/// How the sources are grouped that don't use the learned grouping.
///
/// # Errors
/// Those of SQLite.
pub fn all(c: &Connection) -> rusqlite::Result<HashMap<String, Mode>> {
    let choices = listed(c)?.into_iter();
    Ok(choices.map(|choice| (choice.source, choice.mode)).collect())
}

fn from_number(number: u8) -> Mode {
    if number == Mode::Exact as u8 {
        Mode::Exact
    } else {
        Mode::Fingerprint
    }
}
