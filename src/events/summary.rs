//! The numbers of the error log (floor 2): what `GET /api/monitoring/stats` says of stored events.
//!
//! What must stay true: it reads counts, not events: its cost doesn't grow with the number of events.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Serialize;

use super::model::{ErrorType, Severity};
use super::query::{self, Filter};
use super::store::HOUR_MS;
use super::wire::group_name;
use crate::clock::{from_epoch_ms, rfc3339_ms};

/// How many groups the summary names.
const TOP_GROUPS: u32 = 5;

/// The stored events, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorSummary {
    /// All of them.
    pub total: u64,
    /// Those whose time is within the last 24 hours.
    pub last24h: u64,
    /// All, by type; every type is named.
    pub by_type: BTreeMap<&'static str, u64>,
    /// All, by severity; every severity is named.
    pub by_severity: BTreeMap<&'static str, u64>,
    /// The most frequent groups of those that have stored events.
    pub top_groups: Vec<TopGroup>,
}

/// One frequent group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopGroup {
    /// `E-17`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How many events of it were ever seen.
    pub count: u64,
    /// How many of them are stored.
    pub kept: u64,
    /// When the newest one happened.
    pub last_seen: String,
}

/// Counts what is stored; `now_ms` is the end of the last 24 hours.
///
/// # Errors
/// Those of SQLite.
pub fn summary(connection: &Connection, now_ms: i64) -> rusqlite::Result<ErrorSummary> {
    let mut made = ErrorSummary {
        total: 0,
        last24h: query::count(
            connection,
            &Filter {
                since_ms: Some(now_ms - 24 * HOUR_MS),
                ..Filter::default()
            },
        )?,
        by_type: ErrorType::ALL.iter().map(|t| (t.name(), 0)).collect(),
        by_severity: Severity::ALL.iter().map(|s| (s.name(), 0)).collect(),
        top_groups: top_groups(connection)?,
    };
    let mut statement = connection.prepare_cached("SELECT type, severity, count FROM event_totals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        made.total += count;
        *made
            .by_type
            .entry(ErrorType::from_number(row.get(0)?).name())
            .or_default() += count;
        *made
            .by_severity
            .entry(Severity::from_number(row.get(1)?).name())
            .or_default() += count;
    }
    Ok(made)
}

fn top_groups(connection: &Connection) -> rusqlite::Result<Vec<TopGroup>> {
    connection
        .prepare_cached(
            "SELECT id, title, count, last_seen, count - (SELECT sum(removed) FROM groups AS member
                      WHERE member.id = groups.id OR member.parent = groups.id) AS kept
             FROM groups WHERE parent IS NULL AND kept > 0 ORDER BY count DESC, id DESC LIMIT ?1",
        )?
        .query_map([TOP_GROUPS], |row| {
            Ok(TopGroup {
                id: group_name(row.get(0)?),
                title: row.get(1)?,
                count: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                kept: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                last_seen: rfc3339_ms(from_epoch_ms(row.get(3)?)),
            })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::group::Engine;
    use crate::events::store::{Prepared, insert};
    use crate::events::{parse, schema};

    #[test]
    fn the_summary_counts_by_type_severity_day_and_group() {
        let connection = schema::connection();
        let now = from_epoch_ms(1_750_000_000_000);
        let event = |json: &str| Prepared::new(parse::event(json, now).unwrap());
        let batch = [
            event(r#"{"message":"locked 1","type":"database","severity":"high"}"#),
            event(r#"{"message":"locked 2","type":"database","severity":"high"}"#),
            event(r#"{"message":"old","timestamp":"2025-06-01T00:00:00Z"}"#),
            event(r#"{"message":"edge","timestamp":"2025-06-14T15:06:40.000Z"}"#),
            event(r#"{"message":"over","timestamp":"2025-06-14T15:06:39.999Z"}"#),
        ];
        insert(&connection, &batch, &mut Engine::default()).unwrap();
        let summary = summary(&connection, now.as_millisecond()).unwrap();
        assert_eq!((summary.total, summary.last24h), (5, 3));
        assert_eq!(
            (
                summary.by_type["database"],
                summary.by_type["system"],
                summary.by_type["api"]
            ),
            (2, 3, 0)
        );
        assert_eq!((summary.by_severity["high"], summary.by_severity["low"]), (2, 3));
        assert_eq!(
            (summary.top_groups[0].title.as_str(), summary.top_groups[0].count),
            ("locked <*>", 2)
        );
        let wire = serde_json::to_value(&summary).unwrap();
        assert!(wire["last24h"] == 3 && wire["byType"]["socket"] == 0 && wire["topGroups"][0]["lastSeen"].is_string());
    }
}
