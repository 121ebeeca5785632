//! Where a filter's events are (floor 2): their places, newest first, from the index that knows most of it.
//!
//! What must stay true: only constant text is joined, every value is bound; each branch reads one index from its newest
//! end and stops at the limit, whatever the filter. Several types or severities are a branch for each pair, because the
//! index on them gives each pair in order, while an `IN` list would make SQLite sort all of it. What an index doesn't know
//! is compared with the rows afterwards.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Meant, spelled};

/// Up to so many groups are a branch each; what SQLite merges of more takes longer than to gather and sort it.
const MOST_BRANCHES: usize = 2;

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
    meant: &'f Meant<'f>,
    lead: Lead,
}

impl<'f> Finder<'f> {
    /// Chooses the index.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn new(connection: &Connection, meant: &'f Meant<'f>) -> rusqlite::Result<Self> {
        let filter = meant.filter();
        let lead = match spelled::match_text(connection, filter)? {
            // No group is wanted: its index knows that at once.
            _ if meant.groups().is_some_and(<[i64]>::is_empty) => Lead::Groups,
            Some(text) => Lead::Text(text),
            None if meant.groups().is_some() => Lead::Groups,
            None if !filter.wants_every_kind() => Lead::Kinds,
            None => Lead::All,
        };
        Ok(Self { meant, lead })
    }

    /// Whether places may well be found that the filter doesn't want.
    pub fn must_compare(&self) -> bool {
        let filter = self.meant.filter();
        let others = match self.lead {
            Lead::Text(_) | Lead::Kinds | Lead::All => !self.meant.has_every_group(),
            Lead::Groups => !filter.wants_every_kind(),
        };
        others || !filter.statuses.is_empty()
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
                let groups = self.meant.groups().unwrap_or_default();
                if groups.is_empty() || groups.len() > MOST_BRANCHES {
                    return of_groups(groups, span);
                }
                groups.iter().map(|id| vec![Value::Integer(*id)]).collect()
            }
            Lead::Kinds => self
                .meant
                .filter()
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

/// The newest of each of these groups, and of those the newest: one text however many the groups are, and each group's
/// branch still ends at the limit.
fn of_groups(groups: &[i64], span: [Value; 3]) -> (String, Vec<Value>) {
    let sql = "SELECT found.value FROM json_each(?) AS own, json_each((SELECT json_group_array(at) FROM
                 (SELECT at FROM events WHERE group_id = own.value AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?)
               )) AS found ORDER BY 1 DESC LIMIT ?";
    // A list of numbers always serialises.
    let ids = Value::Text(serde_json::to_string(groups).unwrap_or_default());
    let most = span[2].clone();
    (sql.to_owned(), std::iter::once(ids).chain(span).chain([most]).collect())
}
