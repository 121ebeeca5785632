//! Which groups an index names for a filter (floor 2), where they are few.
//!
//! What must stay true: each query stops at [`MOST_FEW`]; when none of a filter's indexes names few, the walk in the order
//! of the list finds some soon, because many match.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::Words;
use crate::events::index::words::Field;
use crate::events::life::view::{Brief, COLUMNS, ids};
use crate::events::query::{Filter, GroupStatus};

/// Up to so many groups are read and sorted rather than walked to.
const MOST_FEW: usize = 2_500;

/// All groups that can match, when an index says that they are few.
pub fn few(c: &Connection, filter: &Filter, words: &Words) -> rusqlite::Result<Option<Vec<Brief>>> {
    if !filter.groups.is_empty() {
        let mut found = read(c, &filter.groups)?;
        for also in &filter.also_groups {
            let wanted: HashSet<i64> = read(c, also)?.into_iter().map(|group| group.id).collect();
            found.retain(|group| wanted.contains(&group.id));
        }
        return Ok(Some(found));
    }
    if let Some(found) = words.few(MOST_FEW) {
        return read(c, &found).map(Some);
    }
    for (field, value) in &filter.values {
        let sql = match field {
            Field::Release => "SELECT group_id FROM group_releases WHERE release = ?1 LIMIT ?2",
            Field::Source => "SELECT id FROM groups WHERE source IS nullif(?1, '') AND parent IS NULL LIMIT ?2",
            _ => continue,
        };
        if let Some(found) = named(c, sql, value)? {
            return read(c, &found).map(Some);
        }
    }
    if filter.statuses == [GroupStatus::Regressed]
        && let Some(found) = named(c, "SELECT id FROM groups WHERE regressed_at > ?1 LIMIT ?2", &i64::MIN)?
    {
        return read(c, &found).map(Some);
    }
    Ok(None)
}

/// What an index names; `None` when it is too much.
fn named(c: &Connection, sql: &str, value: &dyn rusqlite::ToSql) -> rusqlite::Result<Option<Vec<i64>>> {
    let most = i64::try_from(MOST_FEW + 1).unwrap_or(i64::MAX);
    let found: Vec<i64> = c
        .prepare_cached(sql)?
        .query_map(params![value, most], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok((found.len() <= MOST_FEW).then_some(found))
}

/// The groups that are left of these, each once.
fn read(c: &Connection, groups: &[i64]) -> rusqlite::Result<Vec<Brief>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM groups WHERE parent IS NULL AND id IN
           (SELECT coalesce(parent, id) FROM groups WHERE id IN (SELECT value FROM json_each(?1)))"
    );
    c.prepare_cached(&sql)?.query_map([ids(groups)], Brief::read)?.collect()
}

/// Whether a group, or one that it swallowed, was seen in each wanted release.
pub fn has_releases(c: &Connection, filter: &Filter, group: i64) -> rusqlite::Result<bool> {
    for (_, release) in filter.values.iter().filter(|(field, _)| *field == Field::Release) {
        let seen = c
            .prepare_cached(
                "SELECT 1 FROM group_releases WHERE release = ?2 AND group_id IN
                   (SELECT ?1 UNION ALL SELECT id FROM groups WHERE parent = ?1)",
            )?
            .exists(params![group, release])?;
        if !seen {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the filter asks for statuses, types and severities, or nothing, and an index counts what matches.
pub fn is_of_columns_alone(filter: &Filter) -> bool {
    let of_columns = Filter {
        statuses: filter.statuses.clone(),
        types: filter.types.clone(),
        severities: filter.severities.clone(),
        ..Filter::default()
    };
    *filter == of_columns && !filter.statuses.contains(&GroupStatus::Regressed)
}

/// How many groups have one of the filter's statuses, types and severities.
pub fn count(c: &Connection, filter: &Filter, now_ms: i64) -> rusqlite::Result<u64> {
    let list = |numbers: Vec<i64>| ids(&numbers);
    let kinds = list(filter.kinds().iter().map(|(kind, _)| kind.number().into()).collect());
    let severities = list(
        filter
            .kinds()
            .iter()
            .map(|(_, severity)| severity.number().into())
            .collect(),
    );
    const KINDS: &str = "parent IS NULL AND type IN (SELECT value FROM json_each(?1))
                         AND severity IN (SELECT value FROM json_each(?2))";
    let number = |sql: String, value: i64| {
        c.prepare_cached(&sql)?
            .query_row(params![kinds, severities, value], |row| row.get::<_, i64>(0))
    };
    let with = |status: i64| {
        let sql = format!("SELECT count(*) FROM groups INDEXED BY groups_by_kind WHERE {KINDS} AND status = ?3");
        number(sql, status)
    };
    let over = number(
        format!(
            "SELECT count(*) FROM groups INDEXED BY groups_muted_until WHERE {KINDS} AND status = 2 AND muted_until <= ?3"
        ),
        now_ms,
    )?;
    let wants = |status: GroupStatus| filter.statuses.is_empty() || filter.statuses.contains(&status);
    let mut total = 0;
    if wants(GroupStatus::Unresolved) {
        total += with(0)? + over;
    }
    if wants(GroupStatus::Resolved) {
        total += with(1)?;
    }
    if wants(GroupStatus::Muted) {
        total += with(2)? - over;
    }
    Ok(total.unsigned_abs())
}
