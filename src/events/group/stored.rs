//! Stored events as the grouping reads them (floor 2): their few columns, for splits and previews.
//!
//! What must stay true: an event that was stored and read back gives the same key.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::subject::Subject;
use crate::events::model::{ErrorType, Exception, Extras, Severity};

/// What is read of a row.
pub(super) struct Stored {
    kind: ErrorType,
    source: Option<String>,
    message: String,
    severity: Severity,
    received_ms: i64,
    thrown: Option<Exception>,
    causes: Vec<Exception>,
    fingerprint: Vec<String>,
}

const COLUMNS: &str = "type, source, message, severity, received, body, group_id, rowid";

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let body: Option<String> = row.get(5)?;
        // What can't be read any more is grouped by its message.
        let extras: Extras = body
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        Ok(Self {
            kind: ErrorType::from_number(row.get(0)?),
            source: row.get(1)?,
            message: row.get(2)?,
            severity: Severity::from_number(row.get(3)?),
            received_ms: row.get(4)?,
            thrown: extras.exception,
            causes: extras.causes,
            fingerprint: extras.fingerprint,
        })
    }

    /// What the grouping sees.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            kind: self.kind,
            source: self.source.as_deref(),
            message: &self.message,
            thrown: self.thrown.as_ref(),
            causes: &self.causes,
            fingerprint: &self.fingerprint,
            severity: self.severity,
            timestamp_ms: self.received_ms,
            received_ms: self.received_ms,
        }
    }
}

/// The newest events that are stored under this very group, with their rows.
pub(super) fn of_group(c: &Connection, group: i64, most: i64) -> rusqlite::Result<Vec<(i64, Stored)>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events WHERE group_id = ?1 ORDER BY rowid DESC LIMIT ?2"
    ))?
    .query_map([group, most], |row| Ok((row.get(7)?, Stored::read(row)?)))?
    .collect()
}

/// The newest events in the order they came in, each with the group it is stored under; handed over one by one.
pub(super) fn newest(
    c: &Connection,
    most: i64,
    mut take: impl FnMut(i64, &Stored) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events WHERE rowid IN (SELECT rowid FROM events ORDER BY rowid DESC LIMIT ?1) ORDER BY rowid"
    ))?;
    let mut rows = statement.query([most])?;
    while let Some(row) = rows.next()? {
        take(row.get(6)?, &Stored::read(row)?)?;
    }
    Ok(())
}

/// One event and its group.
pub(super) fn by_id(c: &Connection, id: Uuid) -> rusqlite::Result<Option<(i64, Stored)>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE id = ?1"))?
        .query_row([id.as_bytes()], |row| Ok((row.get(6)?, Stored::read(row)?)))
        .optional()
}
