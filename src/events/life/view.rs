//! How a group is shown (floor 2): its row, with what the tables beside it know.
//!
//! What must stay true: a page of groups costs a fixed number of statements, not one a group; a mute whose time is over is
//! shown as over, whether or not anything has written that down yet; members may be added to the wire and are never renamed.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::MOST_USERS;
use super::history::{self, Entry};
use super::state::Status;
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::db::{Database, DbError, Operation};
use crate::events::group;
use crate::events::model::{ErrorType, Severity};
use crate::events::query::{self, Filter};
use crate::events::remove;
use crate::events::wire::{LoggedEvent, group_name};

mod beside;
use beside::Rule;

/// Hours of the trend, the present one last.
const TREND_HOURS: i64 = 24;
/// Newest events and entries of the history that one group is shown with.
const SAMPLES: u32 = 3;
const RECENT: u32 = 20;

/// The columns of [`Brief`].
pub(super) const COLUMNS: &str = "groups.id, title, type, source, severity, status, regressed_at, muted_until, first_seen, \
                                  last_seen, count, users";

/// A group's row.
#[derive(Debug, Clone)]
pub(super) struct Brief {
    pub id: i64,
    pub title: String,
    pub kind: ErrorType,
    pub source: Option<String>,
    pub severity: Severity,
    status: Status,
    regressed_ms: Option<i64>,
    muted_until_ms: Option<i64>,
    pub first_seen: i64,
    pub last_seen: i64,
    pub count: i64,
    pub users: i64,
}

impl Brief {
    /// Reads a row of [`COLUMNS`].
    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            title: row.get(1)?,
            kind: ErrorType::from_number(row.get(2)?),
            source: row.get(3)?,
            severity: Severity::from_number(row.get(4)?),
            status: Status::from_number(row.get(5)?),
            regressed_ms: row.get(6)?,
            muted_until_ms: row.get(7)?,
            first_seen: row.get(8)?,
            last_seen: row.get(9)?,
            count: row.get(10)?,
            users: row.get(11)?,
        })
    }

    /// Its status at this moment.
    pub fn status(&self, now_ms: i64) -> Status {
        Status::at(self.status as i64, self.muted_until_ms, now_ms)
    }

    /// Whether it was resolved, came back, and nobody has looked after it since.
    pub fn is_regressed(&self) -> bool {
        self.status == Status::Unresolved && self.regressed_ms.is_some()
    }
}

/// A group on the wire.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    id: String,
    title: String,
    #[serde(rename = "type")]
    kind: ErrorType,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    severity: Severity,
    status: &'static str,
    first_seen: String,
    last_seen: String,
    /// How many were ever seen.
    count: u64,
    /// How many of them there still are.
    kept: u64,
    users_affected: u64,
    /// They are counted up to a limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    users_affected_is_at_least: bool,
    releases: Vec<String>,
    trend: Vec<u64>,
    regressed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    regressed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until_count: Option<MutedUntilCount>,
}

/// A mute that so many events end.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct MutedUntilCount {
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    within_seconds: Option<i64>,
    seen: u32,
}

/// One group with everything that is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    #[serde(flatten)]
    group: GroupView,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<group::Explained>,
    aliases: Vec<String>,
    release_history: Vec<ReleaseSeen>,
    trend_by_day: Vec<u64>,
    history: Vec<Entry>,
    samples: Vec<LoggedEvent>,
}

/// When a release was seen with a group's events.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseSeen {
    release: String,
    first_seen: String,
    last_seen: String,
    count: i64,
}

/// Ids as JSON, the way SQLite takes a list.
pub(super) fn ids(ids: &[i64]) -> String {
    serde_json::to_string(ids).unwrap_or_default()
}

/// Everything of one group; `None` when there is none. A swallowed group's id shows the one that is left.
///
/// # Errors
/// Those of the database layer.
pub async fn details(database: &Database, id: i64, now_ms: i64) -> Result<Option<Details>, DbError> {
    let read = move |c: &Connection| everything(c, id, now_ms);
    database.read(Operation::scan("groups.get"), read).await
}

/// The ids under which a group's events are stored; empty when there is no such group.
///
/// # Errors
/// Those of the database layer.
pub async fn family(database: &Database, id: i64) -> Result<Vec<i64>, DbError> {
    let read = move |c: &Connection| group::family(c, id);
    database.read(Operation::point("groups.family"), read).await
}

fn everything(c: &Connection, id: i64, now_ms: i64) -> rusqlite::Result<Option<Details>> {
    let family = group::family(c, id)?;
    let Some(shown) = one(c, id, now_ms)? else {
        return Ok(None);
    };
    let newest = query::List {
        filter: Filter {
            groups: vec![id],
            ..Filter::default()
        },
        after: None,
        limit: SAMPLES,
        count: false,
        histogram: false,
        now_ms,
    };
    Ok(Some(Details {
        group: shown,
        explanation: group::explain(c, id)?,
        aliases: family[1..].iter().map(|id| group_name(*id)).collect(),
        release_history: beside::releases_of(c, &family)?,
        trend_by_day: beside::by_day(c, &family, now_ms)?,
        history: history::page(c, &family, i64::MAX, RECENT)?.history,
        samples: query::page(c, &newest)?.events,
    }))
}

/// The group that is left of this one.
pub(super) fn one(c: &Connection, group: i64, now_ms: i64) -> rusqlite::Result<Option<GroupView>> {
    let sql =
        format!("SELECT {COLUMNS} FROM groups WHERE id = (SELECT coalesce(parent, id) FROM groups WHERE id = ?1)");
    let found: Vec<Brief> = c
        .prepare_cached(&sql)?
        .query_map([group], Brief::read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(complete(c, found, now_ms)?.pop())
}

/// Rows with what the other tables know.
pub(super) fn complete(c: &Connection, rows: Vec<Brief>, now_ms: i64) -> rusqlite::Result<Vec<GroupView>> {
    let roots = ids(&rows.iter().map(|row| row.id).collect::<Vec<_>>());
    let mut known = Beside {
        gone: remove::gone(c, &roots)?,
        trends: beside::trends(c, &roots, now_ms)?,
        releases: beside::releases(c, &roots)?,
        rules: beside::rules(c, &roots)?,
    };
    Ok(rows.into_iter().map(|row| known.shape(row, now_ms)).collect())
}

/// What the tables beside the groups' know, by group.
struct Beside {
    gone: HashMap<i64, i64>,
    trends: HashMap<i64, Vec<u64>>,
    releases: HashMap<i64, Vec<String>>,
    rules: HashMap<i64, Rule>,
}

impl Beside {
    fn shape(&mut self, row: Brief, now_ms: i64) -> GroupView {
        let status = row.status(now_ms);
        // What ends a standing is of no interest once it has ended.
        let rule = self
            .rules
            .remove(&row.id)
            .filter(|_| status != Status::Unresolved)
            .unwrap_or_default();
        let no_events = || vec![0; TREND_HOURS.unsigned_abs() as usize];
        let time = |ms: i64| rfc3339_ms(from_epoch_ms(ms));
        let (resolved_in, resolved_after) = if rule.is_after {
            (None, rule.release)
        } else {
            (rule.release, None)
        };
        GroupView {
            id: group_name(row.id),
            status: status.name(),
            first_seen: time(row.first_seen),
            last_seen: time(row.last_seen),
            count: row.count.unsigned_abs(),
            kept: u64::try_from(row.count - self.gone.remove(&row.id).unwrap_or(0)).unwrap_or(0),
            users_affected: row.users.unsigned_abs(),
            users_affected_is_at_least: row.users >= MOST_USERS,
            releases: self.releases.remove(&row.id).unwrap_or_default(),
            trend: self.trends.remove(&row.id).unwrap_or_else(no_events),
            regressed: row.is_regressed(),
            regressed_at: row.regressed_ms.map(time),
            resolved_in,
            resolved_after,
            muted_until: row.muted_until_ms.filter(|_| status == Status::Muted).map(time),
            muted_until_count: rule.until_count,
            title: row.title,
            kind: row.kind,
            source: row.source,
            severity: row.severity,
        }
    }
}
