//! What would leave (floor 2): counted row by row with the same filter, bound and sums as what then leaves.
//!
//! What must stay true: a preview changes nothing; each of its reads is short, however much matches; the token that it ends
//! with fixes what may leave, and is good for its filter alone.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::rows::{Counted, TEXT_BYTES};
use super::{Counts, Removed};
use crate::db::{Database, DbError, Operation};
use crate::events::group;
use crate::events::query::{self, Filter};

/// Places that one read goes through.
pub(super) const ROUND: usize = 2000;
/// For so long a preview can be confirmed, in milliseconds.
const CONFIRMABLE_MS: i64 = 3_600_000;

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
         FROM events WHERE at = ?1 AND received <= ?2"
    ))?;
    let mut counted = Vec::with_capacity(places.len());
    for place in places {
        counted.extend(row.query_row([place, bound_ms], Counted::read).optional()?);
    }
    Ok((counted, next))
}

/// The text with which a preview of this filter up to this moment is confirmed.
pub fn token(filter: &Filter, bound_ms: i64) -> String {
    // A filter is made of texts, numbers and lists, which always serialise.
    let asked = serde_json::to_vec(filter).unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(bound_ms.to_be_bytes())
        .chain_update(asked)
        .finalize();
    let head: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{bound_ms:016x}{head}")
}

/// The moment up to which a token's preview counted; `None` for what is no token, or one that is too old.
pub fn bound_of(token: &str, now_ms: i64) -> Option<i64> {
    let bound = i64::from_str_radix(token.get(..16)?, 16).ok()?;
    (token.len() == 40 && (now_ms - CONFIRMABLE_MS..=now_ms).contains(&bound)).then_some(bound)
}
