//! How many events the table has, by hour and in all (floor 2): what a batch adds, and what a removal takes.
//!
//! What must stay true: the counts change in the same transaction as the rows they count, so that statistics never scan.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::events::model::{ErrorEvent, ErrorType, Severity};
use crate::events::order::ms_of;

/// Milliseconds of the hours that are counted.
pub const HOUR_MS: i64 = 3_600_000;

/// New events by hour, type and severity.
#[derive(Debug, Default)]
pub struct Hours(HashMap<(i64, u8, u8), i64>);

impl Hours {
    /// An event took this place, or was counted there.
    pub fn add(&mut self, at: i64, event: &ErrorEvent, occurrences: u32) {
        let hour = ms_of(at).div_euclid(HOUR_MS);
        *self
            .0
            .entry((hour, event.kind.number(), event.severity.number()))
            .or_default() += i64::from(occurrences);
    }

    /// The row of this place left, which stood for so many occurrences.
    pub fn take(&mut self, at: i64, kind: ErrorType, severity: Severity, occurrences: i64) {
        let hour = ms_of(at).div_euclid(HOUR_MS);
        *self.0.entry((hour, kind.number(), severity.number())).or_default() -= occurrences;
    }

    /// Adds them to the counts.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut by_hour = connection.prepare_cached(
            "INSERT INTO event_hours (hour, type, severity, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        let mut in_all = connection.prepare_cached(
            "INSERT INTO event_totals (type, severity, count) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        let mut totals: HashMap<(u8, u8), i64> = HashMap::new();
        for ((hour, kind, severity), count) in &self.0 {
            by_hour.execute(params![hour, kind, severity, count])?;
            if *count < 0 {
                connection
                    .prepare_cached(
                        "DELETE FROM event_hours WHERE hour = ?1 AND type = ?2 AND severity = ?3 AND count <= 0",
                    )?
                    .execute(params![hour, kind, severity])?;
            }
            *totals.entry((*kind, *severity)).or_default() += count;
        }
        for ((kind, severity), count) in totals {
            in_all.execute(params![kind, severity, count])?;
        }
        Ok(())
    }
}
