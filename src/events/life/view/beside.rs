//! What stands in the tables beside the groups' (floor 2), for a whole page in one statement each.
//!
//! What must stay true: what is asked for a group is added up over it and the ones it swallowed; `roots` is a JSON list of
//! groups that are left.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::{MutedUntilCount, ReleaseSeen, TREND_HOURS, ids};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::store::HOUR_MS;

/// Days of the longer trend of one group, the present one last.
const TREND_DAYS: i64 = 30;
/// Releases that a list names of each group, the last seen first.
const FEW_RELEASES: usize = 10;
/// Each root with the ids under which its events are counted.
const FAMILIES: &str = "WITH family (root, id) AS MATERIALIZED (
    SELECT value, value FROM json_each(?1)
    UNION ALL SELECT parent, id FROM groups WHERE parent IN (SELECT value FROM json_each(?1)))";

/// What ends a standing.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub release: Option<String>,
    pub is_after: bool,
    pub until_count: Option<MutedUntilCount>,
}

/// Events of the last hours, by group; groups without any are left out.
pub(super) fn trends(c: &Connection, roots: &str, now_ms: i64) -> rusqlite::Result<HashMap<i64, Vec<u64>>> {
    let first = now_ms.div_euclid(HOUR_MS) - TREND_HOURS + 1;
    let sql = format!(
        "{FAMILIES} SELECT family.root, h.hour - ?2, h.count FROM family
         CROSS JOIN group_hours h ON h.group_id = family.id AND h.hour >= ?2 AND h.hour < ?2 + ?3"
    );
    let mut trends: HashMap<i64, Vec<u64>> = HashMap::new();
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params![roots, first, TREND_HOURS])?;
    while let Some(row) = rows.next()? {
        let trend = trends
            .entry(row.get(0)?)
            .or_insert_with(|| vec![0; TREND_HOURS.unsigned_abs() as usize]);
        if let Some(hour) = trend.get_mut(usize::from(row.get::<_, u16>(1)?)) {
            *hour += row.get::<_, i64>(2)?.unsigned_abs();
        }
    }
    Ok(trends)
}

/// Events of the last days (UTC) of one group.
pub(super) fn by_day(c: &Connection, family: &[i64], now_ms: i64) -> rusqlite::Result<Vec<u64>> {
    let first = now_ms.div_euclid(24 * HOUR_MS) - TREND_DAYS + 1;
    let mut days = vec![0; TREND_DAYS.unsigned_abs() as usize];
    let mut statement = c.prepare_cached(
        "SELECT hour / 24 - ?2, count FROM group_hours
         WHERE group_id IN (SELECT value FROM json_each(?1)) AND hour >= ?2 * 24 AND hour < (?2 + ?3) * 24",
    )?;
    let mut rows = statement.query(params![ids(family), first, TREND_DAYS])?;
    while let Some(row) = rows.next()? {
        if let Some(day) = days.get_mut(usize::from(row.get::<_, u16>(0)?)) {
            *day += row.get::<_, i64>(1)?.unsigned_abs();
        }
    }
    Ok(days)
}

/// The releases that were seen last, by group.
pub(super) fn releases(c: &Connection, roots: &str) -> rusqlite::Result<HashMap<i64, Vec<String>>> {
    let sql = format!(
        "{FAMILIES} SELECT family.root, r.release FROM family CROSS JOIN group_releases r ON r.group_id = family.id
         GROUP BY 1, 2 ORDER BY 1, max(r.last_seen) DESC, 2"
    );
    let mut releases: HashMap<i64, Vec<String>> = HashMap::new();
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query([roots])?;
    while let Some(row) = rows.next()? {
        let few = releases.entry(row.get(0)?).or_default();
        if few.len() < FEW_RELEASES {
            few.push(row.get(1)?);
        }
    }
    Ok(releases)
}

/// Every release that is known of one group, the last seen first.
pub(super) fn releases_of(c: &Connection, family: &[i64]) -> rusqlite::Result<Vec<ReleaseSeen>> {
    let time = |ms: i64| rfc3339_ms(from_epoch_ms(ms));
    c.prepare_cached(
        "SELECT release, min(first_seen), max(last_seen), sum(count) FROM group_releases
         WHERE group_id IN (SELECT value FROM json_each(?1)) GROUP BY release ORDER BY 3 DESC, 1",
    )?
    .query_map([ids(family)], |row| {
        Ok(ReleaseSeen {
            release: row.get(0)?,
            first_seen: time(row.get(1)?),
            last_seen: time(row.get(2)?),
            count: row.get(3)?,
        })
    })?
    .collect()
}

/// What ends the standing of resolved and muted groups.
pub(super) fn rules(c: &Connection, roots: &str) -> rusqlite::Result<HashMap<i64, Rule>> {
    c.prepare_cached(
        "SELECT group_id, release, rule, more, span, seen FROM group_life
         WHERE group_id IN (SELECT value FROM json_each(?1))",
    )?
    .query_map([roots], |row| {
        let until_count = match row.get::<_, Option<u32>>(3)? {
            Some(count) => Some(MutedUntilCount {
                count,
                within_seconds: row.get::<_, Option<i64>>(4)?.map(|span| span / 1000),
                seen: row.get(5)?,
            }),
            None => None,
        };
        let rule = Rule {
            release: row.get(1)?,
            is_after: row.get::<_, i64>(2)? == 2,
            until_count,
        };
        Ok((row.get(0)?, rule))
    })?
    .collect()
}
