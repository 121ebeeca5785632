//! Application data on a database (floor 2): each function is one named operation.
//!
//! What must stay true: single documents are point reads, lists are scans; a refused job is rolled back. No SQL
//! and no rules here. Called by the API's handlers.
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::documents::Outcome;
use super::{
    Body, Collection, CollectionName, CollectionPage, CollectionRefusal, Conditions, Cursor, Document, DocumentPage,
    Key, Put, collections, documents,
};
use crate::clock::epoch_ms;
use crate::db::{Answered, Database, DbError, Effect, ErrorKind, Once, Operation};

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

/// What is recorded when a list had to leave documents out.
pub fn left_out(damaged: &[String]) -> DbError {
    DbError::new("app", "documents.list", ErrorKind::DamagedValue)
        .with_detail(format!("left out of the list: {}", damaged.join(", ")))
}

/// Creates a document under an id that is free; gives back that id, which a repeated call may not know.
pub async fn create(
    db: &Database,
    key: Key,
    body: Body,
    once: Option<Once>,
    wall: Timestamp,
) -> Changed<(String, Document)> {
    let (now, bytes) = (epoch_ms(wall), body.as_str().len());
    let job = move |c: &rusqlite::Connection| {
        documents::create(c, &key, &body, now).map(|made| settle(made.map(|made| (key.id.to_string(), made))))
    };
    change(db, Operation::write("documents.create").carrying(bytes), once, job).await
}

/// Creates or replaces a document.
pub async fn put(
    db: &Database,
    key: Key,
    body: Body,
    conditions: Conditions,
    once: Option<Once>,
    wall: Timestamp,
) -> Changed<Put> {
    let (now, bytes) = (epoch_ms(wall), body.as_str().len());
    let job = move |c: &rusqlite::Connection| documents::put(c, &key, &body, &conditions, now).map(settle);
    change(db, Operation::write("documents.put").carrying(bytes), once, job).await
}

/// Applies a merge patch to a document.
pub async fn patch(
    db: &Database,
    key: Key,
    patch: Map<String, Value>,
    conditions: Conditions,
    once: Option<Once>,
    wall: Timestamp,
) -> Changed<Document> {
    let now = epoch_ms(wall);
    // Names are strings and numbers finite, so it is JSON.
    let bytes = serde_json::to_vec(&patch).map_or(0, |text| text.len());
    let job = move |c: &rusqlite::Connection| documents::patch(c, &key, &patch, &conditions, now).map(settle);
    change(db, Operation::write("documents.patch").carrying(bytes), once, job).await
}

/// Deletes a document.
pub async fn delete(db: &Database, key: Key, conditions: Conditions, once: Option<Once>) -> Changed<()> {
    let job = move |c: &rusqlite::Connection| documents::delete(c, &key, &conditions).map(settle);
    change(db, Operation::write("documents.delete"), once, job).await
}

/// What became of a change that may have come under an idempotency key.
pub type Changed<T> = Result<Answered<Outcome<T>>, DbError>;

/// Changes once for all calls with the same key, or each time when there is none.
async fn change<T, F>(db: &Database, operation: Operation, once: Option<Once>, job: F) -> Changed<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: FnMut(&rusqlite::Connection) -> rusqlite::Result<Effect<Outcome<T>>> + Send + 'static,
{
    match once {
        Some(once) => db.write_once(operation, once, job).await,
        None => db.write(operation, job).await.map(Answered::First),
    }
}
