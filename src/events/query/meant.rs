//! A filter as it is meant at one moment (floor 2): the groups that its ids name then, with all that they swallowed.
//!
//! What must stay true: an event's row keeps the group that it was stored with, while every id that was ever told names the
//! whole; so whoever looks for a filter's events takes a [`Meant`], which only a connection gives, and nobody compares rows
//! with the ids as they were asked for. It is made inside the read that uses it, in one snapshot, and never kept for another.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::Filter;
use crate::events::group;
use crate::events::life::Status;

/// A filter with the groups that it means.
#[derive(Debug)]
pub struct Meant<'f> {
    filter: &'f Filter,
    /// Ascending, each once; `None` where all will do.
    groups: Option<Vec<i64>>,
}

impl<'f> Meant<'f> {
    /// What the filter means now.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn of(connection: &Connection, filter: &'f Filter) -> rusqlite::Result<Self> {
        let named = Some(&filter.groups).filter(|groups| !groups.is_empty());
        let mut all: Option<BTreeSet<i64>> = None;
        for one in named.into_iter().chain(&filter.also_groups) {
            let wanted = whole(connection, one)?;
            all = Some(match all {
                Some(before) => before.intersection(&wanted).copied().collect(),
                None => wanted,
            });
        }
        let only = filter.only.as_deref();
        if let (Some(all), Some(only)) = (&mut all, only) {
            all.retain(|id| only.binary_search(id).is_ok());
        } else if only.is_some_and(<[i64]>::is_empty) {
            all = Some(BTreeSet::new());
        }
        Ok(Self {
            filter,
            groups: all.map(|groups| groups.into_iter().collect()),
        })
    }

    /// What was asked for; its groups are [`Meant::groups`].
    pub fn filter(&self) -> &'f Filter {
        self.filter
    }

    /// The ids that rows of the wanted groups may name, ascending; `None` where all will do.
    pub fn groups(&self) -> Option<&[i64]> {
        self.groups.as_deref()
    }

    /// Whether a row that names this group is of a wanted one.
    pub fn has_group(&self, id: i64) -> bool {
        let wanted = self.groups().or(self.filter.only.as_deref());
        wanted.is_none_or(|groups| groups.binary_search(&id).is_ok())
    }

    /// Whether rows of any group are.
    pub fn has_every_group(&self) -> bool {
        self.groups().is_none() && self.filter.only.is_none()
    }
}

/// The ids with all that the groups of which they are part swallowed. An id that names no group is left as it is.
fn whole(connection: &Connection, ids: &[i64]) -> rusqlite::Result<BTreeSet<i64>> {
    let mut all: BTreeSet<i64> = ids.iter().copied().collect();
    for id in ids {
        all.extend(group::family(connection, *id)?);
    }
    Ok(all)
}

/// The ids that rows of the wanted groups may name at this moment, milliseconds since the epoch, ascending, up to one;
/// `None` where the filter asks nothing of groups.
///
/// # Errors
/// Those of SQLite.
pub fn groups_meant(c: &Connection, filter: &Filter, up_to: i64, now_ms: i64) -> rusqlite::Result<Option<Vec<i64>>> {
    let meant = Meant::of(c, filter)?;
    if meant.has_every_group() && filter.statuses.is_empty() {
        return Ok(None);
    }
    let mut named = c.prepare(
        "SELECT id, status, regressed_at IS NOT NULL, muted_until FROM groups
         WHERE id <= ?1 AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY id",
    )?;
    let ids = meant.groups().and_then(|ids| serde_json::to_string(ids).ok());
    let mut rows = named.query((up_to, ids))?;
    let mut wanted = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, regressed) = (row.get(0)?, row.get(2)?);
        let status = Status::at(row.get(1)?, row.get(3)?, now_ms);
        let statuses = &filter.statuses;
        let has_status = statuses.is_empty() || statuses.iter().any(|one| one.holds(status, regressed));
        if has_status && meant.has_group(id) {
            wanted.push(id);
        }
    }
    Ok(Some(wanted))
}
