//! What would leave (floor 2): counted row by row with the same filter, bound and sums as what then leaves.
//!
//! What must stay true: a preview changes nothing; each of its reads is short, however much matches; it counts what
//! was fixed before.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::rows::{Counted, TEXT_BYTES};
use super::{Counts, Fixed, Removed, confirm};
use crate::db::{Database, DbError, Operation};
use crate::events::group;
use crate::events::query::{self, Filter};

/// Places that one read goes through.
pub(super) const ROUND: usize = 2000;

/// Fixes what a filter means now, milliseconds since the epoch, before its events are counted.
///
/// # Errors
/// Those of the database layer.
pub async fn fix(database: &Database, filter: &Filter, now_ms: i64) -> Result<Fixed, DbError> {
    let filter = filter.clone();
    let read = move |c: &Connection| confirm::fixed(c, &filter, now_ms, Err(now_ms));
    database.read(Operation::scan("events.purge_fix"), read).await
}

/// Counts what matches and was received by then.
///
/// # Errors
/// Those of the database layer.
pub async fn preview(database: &Database, filter: &Filter, bound_ms: i64) -> Result<Counts, DbError> {
    let (mut all, mut groups, mut before) = (Removed::default(), BTreeSet::new(), i64::MAX);
    loop {
        let filter = filter.clone();
        let read = move |c: &Connection| some(c, &filter, before, bound_ms);
        let (counted, next) = database.read(Operation::scan("events.purge_preview"), read).await?;
        for one in counted {
            all.add(&one);
            groups.insert(one.group);
        }
        let Some(next) = next else { break };
        before = next;
    }
    let groups: Vec<i64> = groups.into_iter().collect();
    let roots = move |c: &Connection| {
        let of = |id: &i64| group::root(c, *id).map(|root| root.unwrap_or(*id));
        groups.iter().map(of).collect::<rusqlite::Result<BTreeSet<i64>>>()
    };
    let groups = database
        .read(Operation::scan("events.purge_preview"), roots)
        .await?
        .len() as u64;
    Ok(Counts::of(&all, groups))
}

fn some(c: &Connection, filter: &Filter, before: i64, bound_ms: i64) -> rusqlite::Result<(Vec<Counted>, Option<i64>)> {
    let (places, next) = query::places(c, filter, (before, ROUND), bound_ms)?;
    let mut row = c.prepare_cached(&format!(
        "SELECT type, severity, group_id, coalesce(ts, at >> 20), occurrences, {TEXT_BYTES}
         FROM events WHERE at = ?1 AND received <= ?2 AND coalesce(stored, 0) <= ?3"
    ))?;
    let stored_until = filter.stored_until.unwrap_or(i64::MAX);
    let mut counted = Vec::with_capacity(places.len());
    for place in places {
        counted.extend(
            row.query_row([place, bound_ms, stored_until], Counted::read)
                .optional()?,
        );
    }
    Ok((counted, next))
}
