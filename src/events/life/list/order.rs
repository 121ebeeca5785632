//! The orders of the list of groups (floor 2), each with an index of its own.
//!
//! What must stay true: only constant text is joined; each branch reads one status from one end of its index, because a list
//! of statuses would make SQLite sort all groups; groups that are alike are in the order of their ids.

use std::cmp::Ordering;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::After;
use crate::events::life::view::{Brief, COLUMNS};
use crate::events::query::{Filter, GroupStatus};

/// What a list of groups is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    by: Key,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    LastSeen = 0,
    FirstSeen = 1,
    Count = 2,
    Severity = 3,
    Users = 4,
}

impl Sort {
    /// Those that had events last, first.
    pub const NEWEST: Self = Self {
        by: Key::LastSeen,
        descending: true,
    };
    const KEYS: [(&'static str, Key, &'static str); 5] = [
        ("lastSeen", Key::LastSeen, "last_seen"),
        ("firstSeen", Key::FirstSeen, "first_seen"),
        ("count", Key::Count, "count"),
        ("severity", Key::Severity, "severity"),
        ("users", Key::Users, "users"),
    ];

    /// The order of a word on the wire, `-` before it for the largest first.
    pub fn from_name(name: &str) -> Option<Self> {
        let (descending, name) = match name.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let (_, by, _) = Self::KEYS.into_iter().find(|(known, ..)| *known == name)?;
        Some(Self { by, descending })
    }

    /// The words, for people.
    pub fn names() -> String {
        Self::KEYS.map(|(name, ..)| name).join(", ")
    }

    /// A number for each order.
    pub(super) const fn number(self) -> u8 {
        self.by as u8 * 2 + self.descending as u8
    }

    fn key(self, row: &Brief) -> i64 {
        match self.by {
            Key::LastSeen => row.last_seen,
            Key::FirstSeen => row.first_seen,
            Key::Count => row.count,
            Key::Severity => row.severity.number().into(),
            Key::Users => row.users,
        }
    }

    /// The place of a row.
    pub(super) fn after(self, row: &Brief) -> After {
        After {
            sort: self,
            key: self.key(row),
            id: row.id,
        }
    }

    fn compare(self, one: (i64, i64), other: (i64, i64)) -> Ordering {
        if self.descending {
            other.cmp(&one)
        } else {
            one.cmp(&other)
        }
    }

    /// Whether a row comes after a place.
    pub(super) fn follows(self, row: &Brief, after: After) -> bool {
        self.compare((self.key(row), row.id), (after.key, after.id)).is_gt()
    }

    /// Puts rows into this order.
    pub(super) fn sort(self, rows: &mut [Brief]) {
        rows.sort_unstable_by(|one, other| self.compare((self.key(one), one.id), (self.key(other), other.id)));
    }

    /// The next groups after a place that may have the wanted statuses.
    pub(super) fn rows(
        self,
        c: &Connection,
        filter: &Filter,
        after: Option<After>,
        most: usize,
        now_ms: i64,
    ) -> rusqlite::Result<Vec<Brief>> {
        let (sql, values) = self.sql(filter, after, most, now_ms);
        c.prepare_cached(&sql)?
            .query_map(params_from_iter(values), Brief::read)?
            .collect()
    }

    pub(super) fn sql(self, filter: &Filter, after: Option<After>, most: usize, now_ms: i64) -> (String, Vec<Value>) {
        let column = Self::KEYS[self.by as usize].2;
        let (operator, direction) = if self.descending { ("<", "DESC") } else { (">", "ASC") };
        let beyond = if self.descending { i64::MAX } else { i64::MIN };
        let (key, id) = after.map_or((beyond, beyond), |after| (after.key, after.id));
        let most = Value::Integer(i64::try_from(most).unwrap_or(i64::MAX));
        let order = |column: &str, id: &str| format!("ORDER BY {column} {direction}, {id} {direction} LIMIT ?");
        let (mut branches, mut values) = (Vec::new(), Vec::new());
        for (index, condition, value) in branches_of(filter, now_ms) {
            branches.push(format!(
                "SELECT * FROM (SELECT {COLUMNS} FROM groups {index} WHERE parent IS NULL AND {condition}
                   AND ({column}, groups.id) {operator} (?, ?) {})",
                order(column, "groups.id")
            ));
            values.extend([value, key, id].map(Value::Integer));
            values.push(most.clone());
        }
        values.push(most);
        (
            format!("{} {}", branches.join(" UNION ALL "), order(column, "id")),
            values,
        )
    }
}

/// A condition and its value for each way in which a group can have a wanted status.
fn branches_of(filter: &Filter, now_ms: i64) -> Vec<(&'static str, &'static str, i64)> {
    let wants = |status: GroupStatus| filter.statuses.is_empty() || filter.statuses.contains(&status);
    let mut branches = Vec::new();
    if wants(GroupStatus::Unresolved) || wants(GroupStatus::Regressed) {
        branches.push(("", "status = ?", 0));
    }
    if wants(GroupStatus::Resolved) {
        branches.push(("", "status = ?", 1));
    }
    if wants(GroupStatus::Muted) {
        branches.push(("", "status = ?", 2));
    } else if wants(GroupStatus::Unresolved) {
        // Mutes whose time is over are few, and sorted; SQLite would rather walk an order's index for them.
        branches.push((
            "INDEXED BY groups_muted_until",
            "status = 2 AND muted_until <= ?",
            now_ms,
        ));
    }
    branches
}
