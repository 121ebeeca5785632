//! Where a filter's events are (floor 2): their places, newest first, from the index that knows most of it.
//!
//! What must stay true: only constant text is joined, every value is bound; each branch reads one index from its newest
//! end and stops at the limit, whatever the filter. Several types or severities are a branch for each pair, because the
//! index on them gives each pair in order, while an `IN` list would make SQLite sort all of it. What an index doesn't know
//! is compared with the rows afterwards.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Filter, spelled};

/// Which index leads.
#[derive(Debug)]
enum Lead {
    /// The text index, asked for this.
    Text(String),
    /// The groups' index.
    Groups,
    /// The index on types and severities.
    Kinds,
    /// The table itself.
    All,
}

/// Finds places.
#[derive(Debug)]
pub struct Finder<'f> {
    filter: &'f Filter,
    lead: Lead,
}

impl<'f> Finder<'f> {
    /// Chooses the index.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn new(connection: &Connection, filter: &'f Filter) -> rusqlite::Result<Self> {
        let lead = match spelled::match_text(connection, filter)? {
            Some(text) => Lead::Text(text),
            None if !filter.groups.is_empty() => Lead::Groups,
            None if !filter.wants_every_kind() => Lead::Kinds,
            None => Lead::All,
        };
        Ok(Self { filter, lead })
    }

    /// Whether places may well be found that the filter doesn't want.
    pub fn must_compare(&self) -> bool {
        let others = match self.lead {
            Lead::Text(_) => !self.filter.groups.is_empty(),
            Lead::Groups => !self.filter.wants_every_kind(),
            Lead::Kinds | Lead::All => false,
        };
        others || !self.filter.statuses.is_empty()
    }

    /// At most `most` places from `first` to before `before`, the newest of them first.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn places(&self, connection: &Connection, first: i64, before: i64, most: usize) -> rusqlite::Result<Vec<i64>> {
        let (sql, values) = self.sql(first, before, most);
        connection
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| row.get(0))?
            .collect()
    }

    /// The query for them, with what is bound to it.
    pub(super) fn sql(&self, first: i64, before: i64, most: usize) -> (String, Vec<Value>) {
        const SPAN: &str = "at >= ? AND at < ? ORDER BY at DESC LIMIT ?";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let span = [first, before, most].map(Value::Integer);
        let branches: Vec<Vec<Value>> = match &self.lead {
            Lead::Text(text) => {
                let sql = "SELECT ~rowid FROM event_text WHERE event_text MATCH ? AND rowid <= ~? AND rowid > ~? \
                           ORDER BY rowid LIMIT ?";
                let values = std::iter::once(Value::Text(text.clone())).chain(span);
                return (sql.to_owned(), values.collect());
            }
            Lead::All => return (format!("SELECT at FROM events WHERE {SPAN}"), span.to_vec()),
            Lead::Groups => {
                // Named twice, a group's events would be found twice.
                let groups: BTreeSet<i64> = self.filter.groups.iter().copied().collect();
                groups.into_iter().map(|id| vec![Value::Integer(id)]).collect()
            }
            Lead::Kinds => self
                .filter
                .kinds()
                .into_iter()
                .map(|(kind, severity)| {
                    [kind.number(), severity.number()]
                        .map(|n| Value::Integer(n.into()))
                        .to_vec()
                })
                .collect(),
        };
        let equal = match self.lead {
            Lead::Groups => "group_id = ?",
            _ => "type = ? AND severity = ?",
        };
        let one = format!("SELECT at FROM (SELECT at FROM events WHERE {equal} AND {SPAN})");
        let sql = format!(
            "{} ORDER BY at DESC LIMIT ?",
            vec![one; branches.len()].join(" UNION ALL ")
        );
        let mut values: Vec<Value> = branches
            .into_iter()
            .flat_map(|own| own.into_iter().chain(span.clone()))
            .collect();
        values.push(Value::Integer(most));
        (sql, values)
    }
}
