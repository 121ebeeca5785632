//! Which events a list wants, and the SQL for it (floor 2, pure).
//!
//! What must stay true: only constant text is joined, every value is bound; each branch of a page reads one index from its
//! newest end and stops at the limit. Several types or severities become one branch for each pair, because an index on
//! (type, severity, time) gives each pair in order, while an `IN` list would make SQLite sort all of it.

use rusqlite::types::Value;

use super::super::model::{ErrorType, Severity};
use super::super::store::HOUR_MS;
use super::{Bound, Position};

/// Which events; an empty list of words means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these types.
    pub types: Vec<ErrorType>,
    /// Only these severities.
    pub severities: Vec<Severity>,
    /// Not before this, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Before this, milliseconds since the epoch.
    pub until_ms: Option<i64>,
}

/// Conditions joined by AND, with their values in order.
#[derive(Debug, Clone, Default)]
struct Conditions {
    sql: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn and(&mut self, sql: &'static str, values: impl IntoIterator<Item = i64>) {
        self.sql.push(sql);
        self.values.extend(values.into_iter().map(Value::Integer));
    }

    fn where_clause(&self) -> String {
        if self.sql.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.sql.join(" AND "))
        }
    }
}

impl Filter {
    /// The SQL of one page's positions, newest first.
    pub(super) fn page_sql(&self, after: Option<Position>, limit: u32) -> Bound {
        let mut branches = Vec::new();
        let mut values = Vec::new();
        for pair in self.pairs() {
            let mut conditions = pair;
            if let Some(bound) = self.upper_bound(after) {
                conditions.and("(ts, seq) < (?, ?)", [bound.timestamp_ms, bound.seq]);
            }
            if let Some(since) = self.since_ms {
                conditions.and("ts >= ?", [since]);
            }
            branches.push(format!(
                "SELECT ts, seq FROM (SELECT ts, seq FROM events{} ORDER BY ts DESC, seq DESC LIMIT ?)",
                conditions.where_clause()
            ));
            values.append(&mut conditions.values);
            values.push(Value::Integer(i64::from(limit)));
        }
        values.push(Value::Integer(i64::from(limit)));
        (
            format!("{} ORDER BY ts DESC, seq DESC LIMIT ?", branches.join(" UNION ALL ")),
            values,
        )
    }

    /// The queries whose sum is the number of events that match.
    pub(super) fn count_sql(&self) -> Vec<Bound> {
        match self.whole_hours() {
            None => self.scans(self.since_ms, self.until_ms),
            Some((None, None)) => self.sums("event_totals", None, None),
            Some((first, last)) => {
                let mut queries = self.sums("event_hours", first, last);
                if let (Some(since), Some(first)) = (self.since_ms, first.map(|hour| hour * HOUR_MS)) {
                    queries.extend(
                        self.scans(Some(since), Some(first))
                            .into_iter()
                            .filter(|_| since < first),
                    );
                }
                if let (Some(until), Some(last)) = (self.until_ms, last.map(|hour| hour * HOUR_MS)) {
                    queries.extend(self.scans(Some(last), Some(until)).into_iter().filter(|_| last < until));
                }
                queries
            }
        }
    }

    /// The first whole hour and the one after the last; `None` when the span holds no whole hour.
    fn whole_hours(&self) -> Option<(Option<i64>, Option<i64>)> {
        let first = self
            .since_ms
            .map(|ms| ms.div_euclid(HOUR_MS) + i64::from(ms.rem_euclid(HOUR_MS) != 0));
        let last = self.until_ms.map(|ms| ms.div_euclid(HOUR_MS));
        match (first, last) {
            (Some(first), Some(last)) if first >= last => None,
            span => Some(span),
        }
    }

    fn sums(&self, table: &str, first: Option<i64>, last: Option<i64>) -> Vec<Bound> {
        let sum = |mut conditions: Conditions| {
            if let Some(first) = first {
                conditions.and("hour >= ?", [first]);
            }
            if let Some(last) = last {
                conditions.and("hour < ?", [last]);
            }
            (
                format!(
                    "SELECT coalesce(sum(count), 0) FROM {table}{}",
                    conditions.where_clause()
                ),
                conditions.values,
            )
        };
        self.pairs().into_iter().map(sum).collect()
    }

    fn scans(&self, since: Option<i64>, until: Option<i64>) -> Vec<Bound> {
        let scan = |mut conditions: Conditions| {
            if let Some(since) = since {
                conditions.and("ts >= ?", [since]);
            }
            if let Some(until) = until {
                conditions.and("ts < ?", [until]);
            }
            (
                format!("SELECT count(*) FROM events{}", conditions.where_clause()),
                conditions.values,
            )
        };
        self.pairs().into_iter().map(scan).collect()
    }

    /// One set of conditions for each wanted pair of type and severity; a single empty one when all are wanted.
    fn pairs(&self) -> Vec<Conditions> {
        let types = wanted(&self.types, &ErrorType::ALL);
        let severities = wanted(&self.severities, &Severity::ALL);
        if types.len() == ErrorType::ALL.len() && severities.len() == Severity::ALL.len() {
            return vec![Conditions::default()];
        }
        let mut pairs = Vec::with_capacity(types.len() * severities.len());
        for kind in &types {
            for severity in &severities {
                let mut conditions = Conditions::default();
                conditions.and("type = ?", [i64::from(kind.number())]);
                conditions.and("severity = ?", [i64::from(severity.number())]);
                pairs.push(conditions);
            }
        }
        pairs
    }

    /// The cursor or `until`, whichever is older: one bound, so that the index is entered at the right place.
    fn upper_bound(&self, after: Option<Position>) -> Option<Position> {
        let until = self.until_ms.map(|timestamp_ms| Position {
            timestamp_ms,
            seq: i64::MIN,
        });
        match (after, until) {
            (Some(after), Some(until)) => Some(after.min(until)),
            (after, until) => after.or(until),
        }
    }
}

/// The wanted values without repeats; all of them when none is named.
fn wanted<T: Copy + PartialEq>(named: &[T], all: &[T]) -> Vec<T> {
    all.iter()
        .copied()
        .filter(|value| named.is_empty() || named.contains(value))
        .collect()
}
