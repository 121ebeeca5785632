//! The list of groups (floor 2): filtered, sorted, page by page.
//!
//! ```text
//! few candidates (by words, release, source, regression) ─▶ all of them read, compared, sorted ─┐
//! else the index of the order, branch by branch of status ─▶ read in chunks, compared ──────────┴─▶ page ─▶ view
//! ```
//! What must stay true: both ways give the same list; a page looks at a bounded number of groups however many there are, and
//! goes on at its cursor where that ended it; every value is bound. A group that gets events meanwhile moves in an order
//! that they change; `firstSeen` keeps every group where it is.

use rusqlite::Connection;

use super::state::Status;
use super::view::{self, Brief, GroupView};
use crate::db::{Database, DbError, Operation};
use crate::events::index::words::Field;
use crate::events::query::{Filter, GroupStatus};

mod after;
mod candidates;
mod order;
mod words;
pub use after::After;
pub use order::Sort;
use words::Words;

/// Most groups that one page reads when the filter has to be compared with each.
const MOST_EXAMINED: usize = 5_000;
/// First and most groups that are read at once.
const CHUNK: (usize, usize) = (128, 1024);
/// Most groups that a count reads one by one.
const MOST_COUNTED: usize = 5_000;
/// The same where the text index has to be asked about each of them.
const MOST_ASKED: usize = 1_000;

/// A list's request.
#[derive(Debug, Clone)]
pub struct List {
    /// Which groups: types, severities, statuses, words, `source` and `release`; the times are those of the last event.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Only what comes after this.
    pub after: Option<After>,
    /// Most groups.
    pub limit: u32,
    /// Whether to count what matches.
    pub count: bool,
    /// The present time, milliseconds since the epoch.
    pub now_ms: i64,
}

/// One page of the list.
#[derive(Debug)]
pub struct Page {
    /// The groups.
    pub groups: Vec<GroupView>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<After>,
    /// How many match, and whether it is at least so many; when it was asked for.
    pub total: Option<(u64, bool)>,
}

/// Reads one page. It may hold fewer groups than the limit and still have a next one.
///
/// # Errors
/// Those of the database layer.
pub async fn list(database: &Database, list: List) -> Result<Page, DbError> {
    let operation = Operation::scan("groups.list");
    database.read(operation, move |c| page(c, &list)).await
}

/// The ids of the groups that match, in their order; at most `most`, and whether there are more.
pub(super) fn matching(c: &Connection, list: &List, most: usize) -> rusqlite::Result<(Vec<i64>, bool)> {
    let mut rest = list.clone();
    let mut found = Vec::new();
    loop {
        let mut search = Search::new(c, &rest)?;
        let (rows, next) = search.rows(most + 1 - found.len())?;
        found.extend(rows.iter().map(|row| row.id));
        match next {
            Some(next) if found.len() <= most => rest.after = Some(next),
            _ => break,
        }
    }
    let is_more = found.len() > most;
    found.truncate(most);
    Ok((found, is_more))
}

pub(super) fn page(c: &Connection, list: &List) -> rusqlite::Result<Page> {
    let mut search = Search::new(c, list)?;
    let (rows, next) = search.rows(list.limit as usize)?;
    let total = if list.count { Some(search.total()?) } else { None };
    Ok(Page {
        groups: view::complete(c, rows, list.now_ms)?,
        next,
        total,
    })
}

/// One search: the list with its candidates, if they are few.
struct Search<'a> {
    c: &'a Connection,
    list: &'a List,
    words: Words,
    few: Option<Vec<Brief>>,
}

impl<'a> Search<'a> {
    fn new(c: &'a Connection, list: &'a List) -> rusqlite::Result<Self> {
        let words = Words::look_up(c, &list.filter.text)?;
        let few = candidates::few(c, &list.filter, &words)?;
        let mut search = Self {
            c,
            list,
            words,
            few: None,
        };
        if let Some(few) = few {
            let mut wanted = Vec::with_capacity(few.len());
            for row in few {
                if search.wants(&row)? {
                    wanted.push(row);
                }
            }
            list.sort.sort(&mut wanted);
            search.few = Some(wanted);
        }
        Ok(search)
    }

    /// At most `limit` rows after the cursor, and the next cursor.
    fn rows(&mut self, limit: usize) -> rusqlite::Result<(Vec<Brief>, Option<After>)> {
        let sort = self.list.sort;
        if let Some(few) = &self.few {
            let follows = |row: &&Brief| self.list.after.is_none_or(|after| sort.follows(row, after));
            let mut rest = few.iter().filter(follows).cloned();
            let rows: Vec<Brief> = rest.by_ref().take(limit).collect();
            let next = rest.next().and(rows.last()).map(|last| sort.after(last));
            return Ok((rows, next));
        }
        let mut rows = Vec::with_capacity(limit.min(CHUNK.1));
        let mut next = None;
        let mut last = self.list.after;
        let ended_early = self.walk(self.most(MOST_EXAMINED), limit, |row, wanted| {
            if rows.len() == limit {
                next = last;
                return false;
            }
            last = Some(sort.after(row));
            if wanted {
                rows.push(row.clone());
            }
            true
        })?;
        Ok((rows, if ended_early { last } else { next }))
    }

    /// Shows `see` the groups of the wanted statuses in their order, until it says no; whether it ended because `most`
    /// had been read.
    fn walk(&self, most: usize, limit: usize, mut see: impl FnMut(&Brief, bool) -> bool) -> rusqlite::Result<bool> {
        let (mut after, mut examined) = (self.list.after, 0);
        let mut chunk = CHUNK.0.max(limit + 1).min(CHUNK.1);
        loop {
            let rows = self
                .list
                .sort
                .rows(self.c, &self.list.filter, after, chunk, self.list.now_ms)?;
            for row in &rows {
                if examined == most {
                    return Ok(true);
                }
                examined += 1;
                if !see(row, self.wants(row)?) {
                    return Ok(false);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == chunk => after = Some(self.list.sort.after(last)),
                _ => return Ok(false),
            }
            chunk = (chunk * 2).min(CHUNK.1);
        }
    }

    /// How many match, and whether there may be more.
    fn total(&self) -> rusqlite::Result<(u64, bool)> {
        if let Some(few) = &self.few {
            return Ok((few.len() as u64, false));
        }
        if candidates::is_of_columns_alone(&self.list.filter) {
            return Ok((candidates::count(self.c, &self.list.filter, self.list.now_ms)?, false));
        }
        let from_the_start = List {
            after: None,
            ..self.list.clone()
        };
        let search = Search {
            c: self.c,
            list: &from_the_start,
            words: self.words.clone(),
            few: None,
        };
        let mut total = 0;
        let ended = search.walk(self.most(MOST_COUNTED), CHUNK.0, |_, wanted| {
            total += u64::from(wanted);
            true
        })?;
        Ok((total, ended))
    }

    fn most(&self, most: usize) -> usize {
        if self.words.are_common() { MOST_ASKED } else { most }
    }

    /// Whether the whole filter holds for a group, the cheap conditions first.
    fn wants(&self, row: &Brief) -> rusqlite::Result<bool> {
        let filter = &self.list.filter;
        let is_of_status = |status: &GroupStatus| match status {
            GroupStatus::Unresolved => row.status(self.list.now_ms) == Status::Unresolved,
            GroupStatus::Resolved => row.status(self.list.now_ms) == Status::Resolved,
            GroupStatus::Muted => row.status(self.list.now_ms) == Status::Muted,
            GroupStatus::Regressed => row.is_regressed(),
        };
        let is_of_source = |(field, value): &(Field, String)| {
            *field != Field::Source || row.source.as_deref().unwrap_or_default() == value
        };
        let plain = (filter.statuses.is_empty() || filter.statuses.iter().any(is_of_status))
            && filter.wants_kind(row.kind, row.severity)
            && filter.since_ms.is_none_or(|since| row.last_seen >= since)
            && filter.until_ms.is_none_or(|until| row.last_seen < until)
            && filter.values.iter().all(is_of_source);
        Ok(plain && candidates::has_releases(self.c, filter, row.id)? && self.words.are_in(self.c, row.id)?)
    }
}

#[cfg(test)]
mod tests;
