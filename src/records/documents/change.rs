//! Changing documents (floor 2): SQL on app.db.
//!
//! What must stay true: a refusal changes nothing; a document and its collection's count change together. These
//! run inside the writer's transaction, may run again from the start, and never begin or end one.
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{Document, Outcome, Put, Refusal, render};
use crate::records::collections::count;
use crate::records::merge::merge_members;
use crate::records::{Body, Conditions, Key};

/// A collection's row, and the document's where there is one.
struct Place {
    collection_id: i64,
    document: Option<Standing>,
}

/// What a change must know of the document that stands.
#[derive(Clone, Copy)]
struct Standing {
    version: i64,
    created_at_ms: i64,
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Place> {
    let document = match row.get::<_, Option<i64>>(1)? {
        Some(version) => Some(Standing {
            version,
            created_at_ms: row.get(2)?,
        }),
        None => None,
    };
    Ok(Place {
        collection_id: row.get(0)?,
        document,
    })
}

fn find(c: &Connection, key: &Key) -> rusqlite::Result<Option<Place>> {
    c.prepare_cached(include_str!("../sql/document_find.sql"))?
        .query_row([key.collection.as_str(), key.id.as_str()], standing)
        .optional()
}

fn insert(c: &Connection, collection_id: i64, key: &Key, body: &Body, now_ms: i64) -> rusqlite::Result<Document> {
    c.prepare_cached(include_str!("../sql/document_insert.sql"))?
        .execute(params![collection_id, key.id.as_str(), body.as_str(), now_ms])?;
    count(c, collection_id, 1)?;
    Ok(Document {
        version: 1,
        json: render(key.id.as_str(), 1, now_ms, now_ms, body.as_str()),
    })
}

fn replace(
    c: &Connection,
    collection_id: i64,
    key: &Key,
    body: &Body,
    old: Standing,
    now_ms: i64,
) -> rusqlite::Result<Document> {
    let version = old.version + 1;
    c.prepare_cached(include_str!("../sql/document_update.sql"))?
        .execute(params![collection_id, key.id.as_str(), body.as_str(), version, now_ms])?;
    Ok(Document {
        version,
        json: render(key.id.as_str(), version, old.created_at_ms, now_ms, body.as_str()),
    })
}

/// Creates a document under an id that is free.
pub fn create(c: &Connection, key: &Key, body: &Body, now_ms: i64) -> rusqlite::Result<Outcome<Document>> {
    let Some(place) = find(c, key)? else {
        return Ok(Err(Refusal::NoCollection));
    };
    if place.document.is_some() {
        return Ok(Err(Refusal::Exists));
    }
    insert(c, place.collection_id, key, body, now_ms).map(Ok)
}

/// Creates or replaces a document.
pub fn put(
    c: &Connection,
    key: &Key,
    body: &Body,
    conditions: &Conditions,
    now_ms: i64,
) -> rusqlite::Result<Outcome<Put>> {
    let Some(place) = find(c, key)? else {
        return Ok(Err(Refusal::NoCollection));
    };
    let current = place.document.map(|old| old.version);
    if !conditions.allow_change(current) {
        return Ok(Err(Refusal::Unmet(current)));
    }
    Ok(Ok(match place.document {
        Some(old) => Put::Replaced(replace(c, place.collection_id, key, body, old, now_ms)?),
        None => Put::Created(insert(c, place.collection_id, key, body, now_ms)?),
    }))
}

/// Applies a merge patch to a document.
pub fn patch(
    c: &Connection,
    key: &Key,
    patch: &Map<String, Value>,
    conditions: &Conditions,
    now_ms: i64,
) -> rusqlite::Result<Outcome<Document>> {
    let found = c
        .prepare_cached(include_str!("../sql/document_get.sql"))?
        .query_row([key.collection.as_str(), key.id.as_str()], |row| {
            Ok((
                standing(row)?,
                row.get_ref(4)?
                    .as_str_or_null()
                    .map_err(damaged)?
                    .map(members)
                    .transpose()?,
            ))
        })
        .optional()?;
    let Some((place, stored)) = found else {
        return Ok(Err(Refusal::NoCollection));
    };
    let (Some(old), Some(mut stored)) = (place.document, stored) else {
        return Ok(Err(Refusal::NoDocument));
    };
    if !conditions.allow_change(Some(old.version)) {
        return Ok(Err(Refusal::Unmet(Some(old.version))));
    }
    merge_members(&mut stored, patch.clone());
    let Ok(body) = Body::from_members(&stored) else {
        return Ok(Err(Refusal::TooLarge));
    };
    replace(c, place.collection_id, key, &body, old, now_ms).map(Ok)
}

/// Deletes a document.
pub fn delete(c: &Connection, key: &Key, conditions: &Conditions) -> rusqlite::Result<Outcome<()>> {
    let Some(place) = find(c, key)? else {
        return Ok(Err(Refusal::NoCollection));
    };
    let Some(old) = place.document else {
        return Ok(Err(Refusal::NoDocument));
    };
    if !conditions.allow_change(Some(old.version)) {
        return Ok(Err(Refusal::Unmet(Some(old.version))));
    }
    c.prepare_cached("DELETE FROM documents WHERE collection_id = ?1 AND id = ?2")?
        .execute(params![place.collection_id, key.id.as_str()])?;
    count(c, place.collection_id, -1)?;
    Ok(Ok(()))
}

/// The members of a stored body; a body that isn't JSON any more is damage, not absence.
fn members(body: &str) -> rusqlite::Result<Map<String, Value>> {
    serde_json::from_str(body).map_err(damaged)
}

/// What is stored can't be read as a document.
fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(4, Type::Text, Box::new(error))
}
