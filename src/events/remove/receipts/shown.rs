//! Receipts as they are shown (floor 2): one, or the newest.
//!
//! What must stay true: nothing is changed by showing it. Called by `purges`, through `receipts`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::Removed;
use super::{Kind, Status, kind, parsed};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::model::{ErrorType, Severity};

/// A removal on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Its number.
    pub id: i64,
    kind: &'static str,
    /// How far it is.
    pub status: Status,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    filter: Box<RawValue>,
    /// What was received later stayed.
    received_until: String,
    began: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(flatten)]
    counts: Counts,
    groups_removed: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What it can't go on without.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
}

impl Receipt {
    /// The same, when the removal with this number waits for the text index.
    #[must_use]
    pub fn waiting(self, id: i64) -> Self {
        Self {
            waits_for: (self.id == id && self.status == Status::Running).then_some("textIndex"),
            ..self
        }
    }
}

/// Events that left, or would, on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    events: u64,
    /// Of these without a row: counted on samples that left, and perhaps not what was looked for.
    #[serde(skip_serializing_if = "is_none")]
    counted_on_samples: u64,
    bytes: u64,
    by_type: BTreeMap<&'static str, u64>,
    by_severity: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
    groups: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Of these events in so many groups.
    pub fn of(removed: &Removed, groups: u64) -> Self {
        let time = |ms: i64| rfc3339_ms(from_epoch_ms(ms));
        let of_type = |kind: ErrorType| removed.kinds[usize::from(kind.number())].iter().sum();
        let of_severity = |severity: Severity| {
            removed
                .kinds
                .iter()
                .map(|row| row[usize::from(severity.number())])
                .sum()
        };
        Self {
            events: removed.events,
            counted_on_samples: removed.counted,
            bytes: removed.bytes,
            by_type: ErrorType::ALL
                .iter()
                .map(|kind| (kind.name(), of_type(*kind)))
                .collect(),
            by_severity: Severity::ALL
                .iter()
                .map(|severity| (severity.name(), of_severity(*severity)))
                .collect(),
            oldest: removed.span_ms.map(|(oldest, _)| time(oldest)),
            newest: removed.span_ms.map(|(_, newest)| time(newest)),
            groups,
        }
    }
}

const COLUMNS: &str =
    "id, kind, status, actor, reason, asked, bound, began, ended, tally, groups, groups_removed, error";

fn read(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let time = |ms: i64| rfc3339_ms(from_epoch_ms(ms));
    let (began, ended): (i64, Option<i64>) = (row.get(7)?, row.get(8)?);
    let (asked, tally): (String, String) = (row.get(5)?, row.get(9)?);
    Ok(Receipt {
        id: row.get(0)?,
        kind: match kind(row.get(1)?) {
            Kind::Purge => "purge",
            Kind::Erasure => "erasure",
            Kind::One => "one",
        },
        status: match row.get(2)? {
            0_i64 => Status::Running,
            1 => Status::Done,
            3 => Status::Cancelled,
            _ => Status::Failed,
        },
        by: row.get(3)?,
        reason: row.get(4)?,
        filter: parsed(&asked)?,
        received_until: time(row.get(6)?),
        began: time(began),
        ended: ended.map(time),
        duration_ms: ended.map(|ended| (ended - began).max(0)),
        counts: Counts::of(&parsed(&tally)?, row.get::<_, i64>(10)?.unsigned_abs()),
        groups_removed: row.get(11)?,
        error: row.get::<_, Option<String>>(12)?.filter(|text| text != "cancelled"),
        waits_for: None,
    })
}

/// One; `None` when there is none under this number.
pub fn one(c: &Connection, id: i64) -> rusqlite::Result<Option<Receipt>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM purges WHERE id = ?1"))?
        .query_row([id], read)
        .optional()
}

/// The newest before a number.
pub fn page(c: &Connection, before: i64, most: u32) -> rusqlite::Result<Vec<Receipt>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM purges WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map(params![before, most], read)?
    .collect()
}
