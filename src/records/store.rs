//! Application data on a database (floor 2): each function is one named operation.
//!
//! What must stay true: single documents are point reads, lists are scans; a refused job is rolled back. No SQL
//! and no rules here. Called by the API's handlers.
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::documents::Outcome;
use super::{
    Body, Collection, CollectionName, CollectionPage, CollectionRefusal, Conditions, Cursor, Document, DocumentPage,
    Key, Put, collections, documents,
};
use crate::clock::epoch_ms;
use crate::db::{Database, DbError, Effect, Operation};

/// Keeps what was done and undoes what was refused.
fn settle<T, R>(outcome: Result<T, R>) -> Effect<Result<T, R>> {
    match outcome {
        Ok(done) => Effect::Commit(Ok(done)),
        Err(refusal) => Effect::Rollback(Err(refusal)),
    }
}

/// Creates a collection, or finds it; the flag says whether it is new.
pub async fn create_collection(
    db: &Database,
    name: CollectionName,
    wall: Timestamp,
) -> Result<(Collection, bool), DbError> {
    let now = epoch_ms(wall);
    let job = move |c: &rusqlite::Connection| collections::create(c, &name, now).map(Effect::Commit);
    db.write(Operation::write("collections.create"), job).await
}

/// Lists collections by name.
pub async fn list_collections(db: &Database, after: Option<Cursor>, limit: u32) -> Result<CollectionPage, DbError> {
    db.read(Operation::scan("collections.list"), move |c| {
        collections::list(c, after.as_ref(), limit)
    })
    .await
}

/// Deletes a collection, with `force` its documents too.
pub async fn delete_collection(
    db: &Database,
    name: CollectionName,
    force: bool,
) -> Result<Result<(), CollectionRefusal>, DbError> {
    let job = move |c: &rusqlite::Connection| collections::delete(c, &name, force).map(settle);
    db.write(Operation::write("collections.delete"), job).await
}

/// Reads one document.
pub async fn get(db: &Database, key: Key) -> Result<Outcome<Document>, DbError> {
    db.read(Operation::point("documents.get"), move |c| documents::get(c, &key))
        .await
}

/// Lists a collection's documents by id; `None` when there is no such collection.
pub async fn list(
    db: &Database,
    collection: CollectionName,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Option<DocumentPage>, DbError> {
    let query = move |c: &rusqlite::Connection| documents::list(c, &collection, after.as_ref(), limit);
    db.read(Operation::scan("documents.list"), query).await
}

/// Creates a document under an id that is free.
pub async fn create(db: &Database, key: Key, body: Body, wall: Timestamp) -> Result<Outcome<Document>, DbError> {
    let now = epoch_ms(wall);
    let job = move |c: &rusqlite::Connection| documents::create(c, &key, &body, now).map(settle);
    db.write(Operation::write("documents.create"), job).await
}

/// Creates or replaces a document.
pub async fn put(
    db: &Database,
    key: Key,
    body: Body,
    conditions: Conditions,
    wall: Timestamp,
) -> Result<Outcome<Put>, DbError> {
    let now = epoch_ms(wall);
    let job = move |c: &rusqlite::Connection| documents::put(c, &key, &body, &conditions, now).map(settle);
    db.write(Operation::write("documents.put"), job).await
}

/// Applies a merge patch to a document.
pub async fn patch(
    db: &Database,
    key: Key,
    patch: Map<String, Value>,
    conditions: Conditions,
    wall: Timestamp,
) -> Result<Outcome<Document>, DbError> {
    let now = epoch_ms(wall);
    let job = move |c: &rusqlite::Connection| documents::patch(c, &key, &patch, &conditions, now).map(settle);
    db.write(Operation::write("documents.patch"), job).await
}

/// Deletes a document.
pub async fn delete(db: &Database, key: Key, conditions: Conditions) -> Result<Outcome<()>, DbError> {
    let job = move |c: &rusqlite::Connection| documents::delete(c, &key, &conditions).map(settle);
    db.write(Operation::write("documents.delete"), job).await
}
