//! Sources that want no learned grouping (floor 2).

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::tables;

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

/// Most sources that have a mode of their own: each is in memory.
pub const MOST_MODES: usize = 1000;

/// Sets how a source's new events are grouped; `""` is the source of events that name none. Earlier events stay where they
/// are. `false`, and nothing was done, when [`MOST_MODES`] other sources have one. Runs inside the caller's transaction.
///
/// # Errors
/// Those of SQLite.
pub fn set_mode(c: &Connection, source: &str, mode: Mode) -> rusqlite::Result<bool> {
    if mode == Mode::Learned {
        tables::touch(c)?;
        c.execute("DELETE FROM group_modes WHERE source = ?1", [source])?;
        return Ok(true);
    }
    let others: i64 = c.query_row("SELECT count(*) FROM group_modes WHERE source <> ?1", [source], |row| {
        row.get(0)
    })?;
    if others >= MOST_MODES as i64 {
        return Ok(false);
    }
    tables::touch(c)?;
    c.execute(
        "INSERT OR REPLACE INTO group_modes (source, mode) VALUES (?1, ?2)",
        params![source, mode as u8],
    )?;
    Ok(true)
}

/// The sources that don't use the learned grouping.
///
/// # Errors
/// Those of SQLite.
pub fn all(c: &Connection) -> rusqlite::Result<HashMap<String, Mode>> {
    c.prepare_cached("SELECT source, mode FROM group_modes")?
        .query_map([], |row| {
            let mode = if row.get::<_, u8>(1)? == Mode::Exact as u8 {
                Mode::Exact
            } else {
                Mode::Fingerprint
            };
            Ok((row.get(0)?, mode))
        })?
        .collect()
}
