//! Reading documents (floor 2): SQL on app.db.
//!
//! What must stay true: collection and document are looked up in one statement, so that a read sees one state
//! and tells a missing collection from a missing document; a list never sorts.
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::IgnoredAny;

use super::{Document, DocumentPage, Outcome, Refusal, render, render_into};
use crate::records::{CollectionName, Cursor, Key};

/// A page ends early when its documents are this many bytes: 500 of the largest would be half a gigabyte.
pub const PAGE_MAX_BYTES: usize = 4 << 20;

/// Reads one document.
pub fn get(c: &Connection, key: &Key) -> rusqlite::Result<Outcome<Document>> {
    let mut statement = c.prepare_cached(include_str!("../sql/document_get.sql"))?;
    let id = key.id.as_str();
    let found = statement
        .query_row([key.collection.as_str(), id], |row| {
            let Some(version) = row.get::<_, Option<i64>>(1)? else {
                return Ok(Err(Refusal::NoDocument));
            };
            let json = render(id, version, row.get(2)?, row.get(3)?, sound_body(row)?);
            Ok(Ok(Document { version, json }))
        })
        .optional()?;
    Ok(found.unwrap_or(Err(Refusal::NoCollection)))
}

/// Lists a collection's documents by id, after the cursor, at most `limit` and about [`PAGE_MAX_BYTES`]; `None`
/// when there is no such collection. A document whose body is damaged is named and left out.
pub fn list(
    c: &Connection,
    collection: &CollectionName,
    after: Option<&Cursor>,
    limit: u32,
) -> rusqlite::Result<Option<DocumentPage>> {
    let mut statement = c.prepare_cached(include_str!("../sql/document_list.sql"))?;
    // One row more than the page tells whether another page follows.
    let after = after.map_or("", Cursor::key);
    let mut rows = statement.query(params![collection.as_str(), after, i64::from(limit) + 1])?;
    let Some(mut row) = rows.next()? else { return Ok(None) };
    let mut items_json = String::from("[");
    let mut damaged = Vec::new();
    let mut taken = 0;
    let mut last = String::new();
    let next = loop {
        let Some(id) = row.get_ref(0)?.as_str_or_null()? else {
            break None;
        };
        if taken == limit || items_json.len() >= PAGE_MAX_BYTES {
            break Some(Cursor::after(&last));
        }
        match sound_body(row) {
            Ok(body) => {
                if items_json.len() > 1 {
                    items_json.push(',');
                }
                render_into(&mut items_json, id, row.get(1)?, row.get(2)?, row.get(3)?, body);
            }
            // One bad body must not take the others with it.
            Err(_) => damaged.push(id.to_owned()),
        }
        last.clear();
        last.push_str(id);
        taken += 1;
        match rows.next()? {
            Some(following) => row = following,
            None => break None,
        }
    };
    items_json.push(']');
    Ok(Some(DocumentPage {
        items_json,
        next,
        damaged,
    }))
}

/// The body of a row of either query, if it still is the object that was stored: what a disk made of it is never sent on.
fn sound_body<'r>(row: &'r Row<'_>) -> rusqlite::Result<&'r str> {
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error);
    let body = row.get_ref(4)?.as_str().map_err(|error| damaged(Box::new(error)))?;
    serde_json::from_str::<IgnoredAny>(body).map_err(|error| damaged(Box::new(error)))?;
    if body.starts_with('{') {
        Ok(body)
    } else {
        Err(damaged("not an object".into()))
    }
}
