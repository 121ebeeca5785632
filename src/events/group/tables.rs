//! The engine's tables in events.db (floor 2): every statement of the way of an event.
//!
//! What must stay true: whoever changes a table of the grouping calls [`touch`] in the same transaction. Runs on the writer
//! thread, inside its savepoint.
//! The upper half of the epoch is the mark of who added keys last, the lower half changes with every change.

use rusqlite::{Connection, OptionalExtension, params};

use super::template::Key;
use super::words::Class;
use crate::events::model::ErrorType;

/// Most templates of one shape that a wide template is compared with.
const MOST_SIMILAR: i64 = 1000;

/// What made a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Its group began with it.
    First = 0,
    /// It joined a wider template.
    Joined = 1,
    /// It is a wider template.
    Widened = 2,
    /// A hand undid it: nothing joins it any more.
    Barred = 3,
}

/// A key's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The group, after all unions so far.
    pub group: i64,
    /// Nothing may join it.
    pub barred: bool,
}

/// A word that was seen at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    pub word: i64,
    pub group: i64,
    pub class: u8,
}

/// A group to be made.
pub(super) struct NewGroup<'a> {
    pub title: &'a str,
    pub template: &'a str,
    pub kind: ErrorType,
    pub source: Option<&'a str>,
    pub severity: u8,
    pub explanation: &'a str,
    pub seen_ms: i64,
    /// The version of the rules that make it.
    pub version: u32,
}

pub(super) fn epoch(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT epoch FROM group_epoch")?
        .query_row([], |row| row.get(0))
}

/// Gives the tables a new epoch: nobody's memory of them holds any longer but the caller's. Who knows all keys goes on to,
/// because none is added by hand.
pub(super) fn touch(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("UPDATE group_epoch SET epoch = (epoch & ~4294967295) | ?1 RETURNING epoch")?
        .query_row([fastrand::u32(..)], |row| row.get(0))
}

/// The same, and says that whoever gave this mark took in all keys and places up to here, and adds the ones to come.
pub(super) fn mark(c: &Connection, mark: u32) -> rusqlite::Result<i64> {
    let epoch = (i64::from(mark) << 32) | i64::from(fastrand::u32(..));
    c.prepare_cached("UPDATE group_epoch SET epoch = ?1")?
        .execute([epoch])?;
    Ok(epoch)
}

/// The mark of an epoch.
pub(super) fn mark_of(epoch: i64) -> u32 {
    (epoch >> 32) as u32
}

/// The keys of groups from this one on, in order.
pub(super) fn keys_from(c: &Connection, key: Key, most: u16) -> rusqlite::Result<Vec<Key>> {
    hashes(
        c,
        "SELECT hash FROM group_keys WHERE hash >= ?1 ORDER BY hash LIMIT ?2",
        key,
        most,
    )
}

/// The keys of the places from this one on, in order.
pub(super) fn holes_from(c: &Connection, key: Key, most: u16) -> rusqlite::Result<Vec<Key>> {
    hashes(
        c,
        "SELECT DISTINCT hash FROM group_holes WHERE hash >= ?1 ORDER BY hash LIMIT ?2",
        key,
        most,
    )
}

fn hashes(c: &Connection, sql: &str, key: Key, most: u16) -> rusqlite::Result<Vec<Key>> {
    c.prepare_cached(sql)?
        .query_map(params![key.to_be_bytes(), i64::from(most)], |row| {
            row.get(0).map(Key::from_be_bytes)
        })?
        .collect()
}

pub(super) fn key(c: &Connection, key: Key) -> rusqlite::Result<Option<Known>> {
    c.prepare_cached(
        "SELECT coalesce(g.parent, g.id), k.how FROM group_keys k JOIN groups g ON g.id = k.group_id WHERE k.hash = ?1",
    )?
    .query_row([key.to_be_bytes()], |row| {
        Ok(Known {
            group: row.get(0)?,
            barred: row.get::<_, i64>(1)? == How::Barred as i64,
        })
    })
    .optional()
}

/// The group that a key was made for, whatever stands for that now.
pub(super) fn made_for(c: &Connection, key: Key) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT group_id FROM group_keys WHERE hash = ?1")?
        .query_row([key.to_be_bytes()], |row| row.get(0))
        .optional()
}

/// A key to be added.
pub(super) struct NewKey<'a> {
    pub key: Key,
    pub group: i64,
    pub how: How,
    pub at: i64,
    pub template: Option<&'a str>,
    pub shape: Option<i64>,
}

pub(super) fn add_key(c: &Connection, new: &NewKey<'_>) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO group_keys (hash, group_id, how, at, template, shape) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        new.key.to_be_bytes(),
        new.group,
        new.how as u8,
        new.at,
        new.template,
        new.shape
    ])?;
    Ok(())
}

/// How many keys joined a group, counted up to `most`.
pub(super) fn joined(c: &Connection, group: i64, most: usize) -> rusqlite::Result<usize> {
    c.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM group_keys WHERE how = 1 AND group_id IN
           (SELECT id FROM groups WHERE id = ?1 OR parent = ?1) LIMIT ?2)",
    )?
    .query_row(params![group, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        row.get::<_, i64>(0)
    })
    .map(|count| usize::try_from(count).unwrap_or(most))
}

/// The templates of a shape that groups began with, each with its group; at most [`MOST_SIMILAR`].
pub(super) fn of_shape(c: &Connection, shape: i64) -> rusqlite::Result<Vec<(i64, String)>> {
    c.prepare_cached("SELECT group_id, template FROM group_keys WHERE shape = ?1 AND how < 3 ORDER BY hash LIMIT ?2")?
        .query_map([shape, MOST_SIMILAR], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

pub(super) fn add_group(c: &Connection, new: &NewGroup<'_>) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "INSERT INTO groups (title, template, type, source, severity, explanation, first_seen, last_seen, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
    )?
    .execute(params![
        new.title,
        new.template,
        new.kind.number(),
        new.source,
        new.severity,
        new.explanation,
        new.seen_ms,
        new.version
    ])?;
    Ok(c.last_insert_rowid())
}

pub(super) fn variants(c: &Connection, key: Key) -> rusqlite::Result<Vec<Variant>> {
    c.prepare_cached("SELECT variant, group_id, class FROM group_holes WHERE hash = ?1 ORDER BY group_id, variant")?
        .query_map([key.to_be_bytes()], |row| {
            Ok(Variant {
                word: row.get(0)?,
                group: row.get(1)?,
                class: row.get(2)?,
            })
        })?
        .collect()
}

pub(super) fn add_variant(c: &Connection, key: Key, variant: Variant) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT OR IGNORE INTO group_holes (hash, variant, group_id, class) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key.to_be_bytes(), variant.word, variant.group, variant.class])?;
    Ok(())
}

pub(super) fn forget_variants(c: &Connection, key: Key) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM group_holes WHERE hash = ?1")?
        .execute([key.to_be_bytes()])?;
    Ok(())
}

/// The group that a group belongs to, and whether a hand set either apart.
pub(super) fn root(c: &Connection, group: i64) -> rusqlite::Result<(i64, bool)> {
    let found: Option<(i64, bool)> = c
        .prepare_cached(
            "SELECT r.id, g.apart OR r.apart FROM groups g JOIN groups r ON r.id = coalesce(g.parent, g.id) WHERE g.id = ?1",
        )?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or((group, true)))
}

pub(super) fn rename(c: &Connection, group: i64, title: &str, template: &str) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE groups SET title = ?2, template = ?3 WHERE id = ?1")?
        .execute(params![group, title, template])?;
    Ok(())
}

/// The class of a hole's row.
pub(super) fn class_number(class: Class) -> u8 {
    class as u8
}
