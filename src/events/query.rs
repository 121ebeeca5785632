//! Events out of events.db (floor 2): list, get, count.
//!
//! What must stay true: lists are newest first by (time, sequence) and a cursor neither skips nor repeats an event while
//! others come in; every value is bound; a list reads an index from its newest end and stops at its limit, whatever the filter.
//! The SQL functions take a connection; the async ones are what handlers call.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use uuid::Uuid;

use super::classify::Class;
use super::model::{ErrorEvent, ErrorType, Extras, Severity, UserId};
use super::wire::LoggedEvent;
use crate::db::{Database, DbError, Operation};

mod cursor;
mod filter;
pub use cursor::Position;
pub use filter::Filter;

/// Up to this many events a list is a short read.
const SHORT_LIST: u32 = 100;

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<LoggedEvent>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Position>,
    /// How many events match in all, when it was asked for.
    pub total: Option<u64>,
}

/// A list's request.
#[derive(Debug, Clone)]
pub struct List {
    /// Which events.
    pub filter: Filter,
    /// Only what is older than this.
    pub after: Option<Position>,
    /// Most events.
    pub limit: u32,
    /// Whether to count what matches.
    pub count: bool,
}

/// Reads one page.
///
/// # Errors
/// Those of the database layer.
pub async fn list(database: &Database, list: List) -> Result<Page, DbError> {
    let short = list.limit <= SHORT_LIST && !list.count;
    let operation = if short {
        Operation::point("events.list")
    } else {
        Operation::scan("events.list")
    };
    database
        .read(operation, move |connection| page(connection, &list))
        .await
}

/// Reads one event; `None` when there is none.
///
/// # Errors
/// Those of the database layer.
pub async fn get(database: &Database, id: Uuid) -> Result<Option<LoggedEvent>, DbError> {
    database
        .read(Operation::point("events.get"), move |connection| event(connection, id))
        .await
}

pub(super) fn page(connection: &Connection, list: &List) -> rusqlite::Result<Page> {
    let (sql, values) = list.filter.page_sql(list.after, list.limit.saturating_add(1));
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| {
        Ok(Position {
            timestamp_ms: row.get(0)?,
            seq: row.get(1)?,
        })
    })?;
    let mut positions = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let limit = list.limit as usize;
    let more = positions.len() > limit;
    positions.truncate(limit);

    let mut by_seq = connection.prepare_cached(concat!(include_str!("query/columns.sql"), " WHERE seq = ?1"))?;
    let mut events = Vec::with_capacity(positions.len());
    for position in &positions {
        // A row that retention removed in between is no longer part of the list.
        events.extend(by_seq.query_row([position.seq], read_event).optional()?);
    }
    let total = if list.count {
        Some(count(connection, &list.filter)?)
    } else {
        None
    };
    Ok(Page {
        events,
        next: positions.last().copied().filter(|_| more),
        total,
    })
}

pub(super) fn event(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<LoggedEvent>> {
    connection
        .prepare_cached(concat!(include_str!("query/columns.sql"), " WHERE id = ?1"))?
        .query_row([id.as_bytes()], read_event)
        .optional()
}

/// How many events match: whole hours from their counts, the rest of the first and last hour from the index.
pub(super) fn count(connection: &Connection, filter: &Filter) -> rusqlite::Result<u64> {
    let mut total = 0_i64;
    for (sql, values) in filter.count_sql() {
        let counted: i64 = connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(values), |row| row.get(0))?;
        total += counted;
    }
    Ok(u64::try_from(total).unwrap_or(0))
}

fn read_event(row: &Row<'_>) -> rusqlite::Result<LoggedEvent> {
    let id: [u8; 16] = row.get("id")?;
    let body: Option<String> = row.get("body")?;
    let event = ErrorEvent {
        id: Uuid::from_bytes(id),
        timestamp_ms: row.get("ts")?,
        received_ms: row.get("received")?,
        kind: ErrorType::from_number(row.get("type")?),
        severity: Severity::from_number(row.get("severity")?),
        assessed: Severity::from_number(row.get("assessed")?),
        class: Class::from_number(row.get("class")?),
        message: row.get("message")?,
        user_id: user_id(row.get_ref("user_id")?),
        ip: row.get("ip")?,
        path: row.get("path")?,
        request_id: row.get("request_id")?,
        source: row.get("source")?,
        release: row.get("release")?,
        environment: row.get("environment")?,
        extras: body.map_or_else(|| Ok(Extras::default()), |text| extras(&text))?,
    };
    Ok(LoggedEvent {
        event,
        group_id: Some(row.get("group_id")?),
        occurrences: row.get("occurrences")?,
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

/// SQL text with what is bound to it.
type Bound = (String, Vec<Value>);

#[cfg(test)]
mod tests;
