//! Rows of events (floor 2): read by their place, and compared with the whole filter.
//!
//! What must stay true: what an index found is an event of the list only if its row says so too: the text index knows
//! values by their hashes, and nothing of groups. A group's status is that of the moment of the question.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::{Filter, Meant};
use crate::events::classify::Class;
use crate::events::index::words::Field;
use crate::events::life::Status;
use crate::events::model::{ErrorEvent, ErrorType, Extras, Severity, UserId};
use crate::events::wire::LoggedEvent;

/// Reads rows and compares them with a filter.
pub struct Rows<'c> {
    meant: &'c Meant<'c>,
    whole: CachedStatement<'c>,
    brief: CachedStatement<'c>,
    groups: Groups<'c>,
}

/// Whether groups have a wanted status; each is looked up once.
struct Groups<'c> {
    status: CachedStatement<'c>,
    now_ms: i64,
    known: HashMap<i64, bool>,
}

impl<'c> Rows<'c> {
    /// For this filter at this moment, milliseconds since the epoch.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn new(connection: &'c Connection, meant: &'c Meant<'c>, now_ms: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            meant,
            whole: connection.prepare_cached(concat!(include_str!("columns.sql"), " WHERE at = ?1"))?,
            brief: connection.prepare_cached("SELECT type, severity, group_id FROM events WHERE at = ?1")?,
            groups: Groups {
                status: connection
                    .prepare_cached("SELECT status, regressed_at IS NOT NULL, muted_until FROM groups WHERE id = ?1")?,
                now_ms,
                known: HashMap::new(),
            },
        })
    }

    /// The event of a place, if the filter wants it.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn matching(&mut self, place: i64) -> rusqlite::Result<Option<LoggedEvent>> {
        let (meant, groups) = (self.meant, &mut self.groups);
        let read = |row: &Row<'_>| {
            if !has_wanted_kind(meant, groups, row)? {
                return Ok(None);
            }
            let found = read_event(row)?;
            Ok(has_values(meant.filter(), &found.event).then_some(found))
        };
        self.whole.query_row([place], read).optional().map(Option::flatten)
    }

    /// Whether the filter wants the event of a place that the leading index found, as far as a count needs to know: what
    /// the text index says of values is believed.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn counts(&mut self, place: i64) -> rusqlite::Result<bool> {
        let (meant, groups) = (self.meant, &mut self.groups);
        let found = self
            .brief
            .query_row([place], |row| has_wanted_kind(meant, groups, row))
            .optional()?;
        Ok(found.unwrap_or(false))
    }
}

impl Groups<'_> {
    fn have_wanted_status(&mut self, filter: &Filter, id: i64) -> rusqlite::Result<bool> {
        if let Some(known) = self.known.get(&id) {
            return Ok(*known);
        }
        let now_ms = self.now_ms;
        let columns = |row: &Row<'_>| Ok((Status::at(row.get(0)?, row.get(2)?, now_ms), row.get::<_, bool>(1)?));
        let found = self.status.query_row([id], columns).optional()?;
        let wanted =
            found.is_some_and(|(status, regressed)| filter.statuses.iter().any(|s| s.holds(status, regressed)));
        self.known.insert(id, wanted);
        Ok(wanted)
    }
}

/// Compares what a row begins with: type, severity and group.
fn has_wanted_kind(meant: &Meant<'_>, groups: &mut Groups<'_>, row: &Row<'_>) -> rusqlite::Result<bool> {
    let kind = ErrorType::from_number(row.get(0)?);
    let severity = Severity::from_number(row.get(1)?);
    let group: i64 = row.get(2)?;
    let filter = meant.filter();
    Ok(filter.wants_kind(kind, severity)
        && meant.has_group(group)
        && (filter.statuses.is_empty() || groups.have_wanted_status(filter, group)?))
}

fn has_values(filter: &Filter, event: &ErrorEvent) -> bool {
    let has_value = |(field, wanted): &(Field, String)| {
        let text = match field {
            Field::UserId => return event.user_id.as_ref().is_some_and(|id| is_user(id, wanted)),
            Field::Path => &event.path,
            Field::Ip => &event.ip,
            Field::RequestId => &event.request_id,
            Field::Source => &event.source,
            Field::Release => &event.release,
            Field::Environment => &event.environment,
        };
        text.as_ref() == Some(wanted)
    };
    let tags = &event.extras.tags;
    filter.values.iter().all(has_value) && filter.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
}

fn is_user(id: &UserId, wanted: &str) -> bool {
    match id {
        UserId::Number(number) => wanted == number.to_string(),
        UserId::Text(text) => wanted == text,
    }
}

/// The event of a row with the columns of `columns.sql`.
///
/// # Errors
/// Those of SQLite; one for stored JSON that can't be read.
pub fn read_event(row: &Row<'_>) -> rusqlite::Result<LoggedEvent> {
    // By number: by name, the names of all columns would be compared for each value of each row.
    let id: [u8; 16] = row.get(3)?;
    let body: Option<String> = row.get(17)?;
    let event = ErrorEvent {
        id: Uuid::from_bytes(id),
        timestamp_ms: row.get(4)?,
        received_ms: row.get(5)?,
        kind: ErrorType::from_number(row.get(0)?),
        severity: Severity::from_number(row.get(1)?),
        assessed: Severity::from_number(row.get(6)?),
        class: Class::from_number(row.get(7)?),
        message: row.get(16)?,
        user_id: user_id(row.get_ref(9)?),
        ip: row.get(10)?,
        path: row.get(11)?,
        request_id: row.get(12)?,
        source: row.get(13)?,
        release: row.get(14)?,
        environment: row.get(15)?,
        extras: body.map_or_else(|| Ok(Extras::default()), |text| extras(&text))?,
    };
    Ok(LoggedEvent {
        event,
        group_id: Some(row.get(2)?),
        occurrences: row.get(8)?,
        spooled: false,
    })
}

fn user_id(value: ValueRef<'_>) -> Option<UserId> {
    match value {
        ValueRef::Integer(number) => Some(UserId::Number(number)),
        ValueRef::Text(text) => Some(UserId::Text(String::from_utf8_lossy(text).into_owned())),
        _ => None,
    }
}

fn extras(text: &str) -> rusqlite::Result<Extras> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}
