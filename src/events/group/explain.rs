//! Why events are in a group (floor 2): for the `explanation` of one group.
//!
//! What must stay true: it only reads; what it shows is bounded, whatever the group has grown to.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::family::family;
use super::{Basis, Explanation, MaskedToken};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::wire::group_name;

/// Most keys and most changes that are shown.
const MOST_SHOWN: i64 = 100;

/// Why events are in a group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// What decided for its first event.
    pub basis: Basis,
    /// The parts of its first key, after source and type.
    pub parts: Vec<String>,
    /// The version of the rules that made the group.
    pub version: u32,
    /// What was masked in its first event's text.
    pub masked: Vec<MaskedToken>,
    /// The template by now.
    pub template: String,
    /// The keys that lead to it, the widest and oldest first, at most 100.
    pub keys: Vec<KeyShown>,
    /// How many keys there are.
    pub key_count: u64,
    /// What united or parted it, newest first, at most 100.
    pub changes: Vec<Change>,
    /// A hand took it out of another group: the rules never unite it again.
    pub apart: bool,
}

/// One key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyShown {
    /// The key, 32 hexadecimal digits: what [`super::Selection::Keys`] takes.
    pub key: String,
    /// `first`, `joined` (another word where a wider template has a mask), `widened` or `barred`.
    pub how: &'static str,
    /// Its template; left out of keys that joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Since when.
    pub at: String,
    /// The group it was made for: this one or one of its aliases.
    pub group_id: String,
}

/// One change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What [`super::undo`] takes.
    pub id: i64,
    /// When.
    pub at: String,
    /// `widened`, `absorbed`, `merged`, `split` or `undone`.
    pub what: &'static str,
    /// Why, in words.
    pub why: String,
    /// Who, when it was a hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The groups that were moved.
    pub moved: Vec<String>,
    /// Whether it was undone.
    pub undone: bool,
}

/// Explains a group, or the one that swallowed it; `None` when there is no such group.
///
/// # Errors
/// Those of SQLite.
pub fn explain(c: &Connection, group: i64) -> rusqlite::Result<Option<Explained>> {
    let ids = family(c, group)?;
    let Some(&root) = ids.first() else { return Ok(None) };
    let found: Option<(String, String, bool)> = c
        .prepare_cached("SELECT explanation, template, apart FROM groups WHERE id = ?1")?
        .query_row([root], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((explanation, template, apart)) = found else {
        return Ok(None);
    };
    // A group of the first rules has fewer members; one that can't be read at all is shown without its parts.
    let made: Explanation = serde_json::from_str(&explanation).unwrap_or(Explanation {
        basis: Basis::Message,
        parts: Vec::new(),
        version: 1,
        masked: Vec::new(),
    });
    let (keys, key_count) = keys(c, root)?;
    Ok(Some(Explained {
        basis: made.basis,
        parts: made.parts,
        version: made.version,
        masked: made.masked,
        template,
        keys,
        key_count,
        changes: changes(c, root)?,
        apart,
    }))
}

const OF_FAMILY: &str = "group_id IN (SELECT id FROM groups WHERE id = ?1 OR parent = ?1)";

/// The changes that touched a group or one that it swallowed.
const TOUCHING_FAMILY: &str = "WITH family AS (SELECT id FROM groups WHERE id = ?1 OR parent = ?1)
    SELECT id FROM group_changes WHERE group_id IN (SELECT id FROM family)
    UNION SELECT change_id FROM group_moves WHERE group_id IN (SELECT id FROM family)
    UNION SELECT change_id FROM group_moves WHERE was IN (SELECT id FROM family)";

/// Whether a change touched a group, or one that is one with it; so did an undoing what it undid.
///
/// # Errors
/// Those of SQLite.
pub fn touched_by(c: &Connection, group: i64, change: i64) -> rusqlite::Result<bool> {
    let Some(root) = super::family::root(c, group)? else {
        return Ok(false);
    };
    c.prepare_cached(&format!("SELECT 1 WHERE ?2 IN ({TOUCHING_FAMILY})"))?
        .exists([root, change])
}

/// The groups that stand for those that a change touched.
///
/// # Errors
/// Those of SQLite.
pub fn touched_roots(c: &Connection, change: i64) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached(
        "SELECT DISTINCT coalesce(parent, id) FROM groups WHERE id IN
           (SELECT group_id FROM group_changes WHERE id = ?1
            UNION SELECT group_id FROM group_moves WHERE change_id = ?1
            UNION SELECT was FROM group_moves WHERE change_id = ?1) ORDER BY 1",
    )?
    .query_map([change], |row| row.get(0))?
    .collect()
}

fn keys(c: &Connection, root: i64) -> rusqlite::Result<(Vec<KeyShown>, u64)> {
    let count: i64 = c
        .prepare_cached(&format!("SELECT count(*) FROM group_keys WHERE {OF_FAMILY}"))?
        .query_row([root], |row| row.get(0))?;
    let keys = c
        .prepare_cached(&format!(
            "SELECT hash, how, template, at, group_id FROM group_keys WHERE {OF_FAMILY}
             ORDER BY how = 2 DESC, at, hash LIMIT ?2"
        ))?
        .query_map([root, MOST_SHOWN], |row| {
            Ok(KeyShown {
                key: hex(&row.get::<_, [u8; 16]>(0)?),
                how: match row.get::<_, i64>(1)? {
                    0 => "first",
                    1 => "joined",
                    2 => "widened",
                    _ => "barred",
                },
                template: row.get(2)?,
                at: time(row, 3)?,
                group_id: group_name(row.get(4)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok((keys, u64::try_from(count).unwrap_or(0)))
}

fn changes(c: &Connection, root: i64) -> rusqlite::Result<Vec<Change>> {
    let mut moved = c.prepare_cached(
        "SELECT DISTINCT group_id FROM group_moves WHERE change_id = ?1 AND became IS NOT group_id ORDER BY 1 LIMIT ?2",
    )?;
    let mut found: Vec<Change> = c
        .prepare_cached(&format!(
            "SELECT id, at, what, actor, template, variants, undone FROM group_changes WHERE id IN ({TOUCHING_FAMILY})
             ORDER BY id DESC LIMIT ?2"
        ))?
        .query_map([root, MOST_SHOWN], change)?
        .collect::<rusqlite::Result<_>>()?;
    for change in &mut found {
        let ids = moved.query_map([change.id, MOST_SHOWN], |row| row.get(0))?;
        change.moved = ids.map(|id| id.map(group_name)).collect::<rusqlite::Result<_>>()?;
    }
    Ok(found)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let template: Option<String> = row.get(4)?;
    let template = template.unwrap_or_default();
    let variants: i64 = row.get(5)?;
    let (what, why) = match row.get::<_, i64>(2)? {
        0 => (
            "widened",
            format!("{variants} distinct words were seen where `{template}` has a mask"),
        ),
        1 => (
            "absorbed",
            format!("`{template}` says the same with a value where others had words"),
        ),
        2 => ("merged", "merged by hand".to_owned()),
        3 => ("split", "split by hand".to_owned()),
        _ => ("undone", "a change was undone by hand".to_owned()),
    };
    Ok(Change {
        id: row.get(0)?,
        at: time(row, 1)?,
        what,
        why,
        actor: row.get(3)?,
        moved: Vec::new(),
        undone: row.get::<_, Option<i64>>(6)?.is_some(),
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(rfc3339_ms(from_epoch_ms(row.get(column)?)))
}

/// 32 hexadecimal digits.
pub(super) fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}
