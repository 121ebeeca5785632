//! Handlers of documents (floor 6).
//!
//! What must stay true: conditions are parsed here and judged in `records`, inside the transaction of the change.
use rocket::http::Status;
use rocket::{Data, State, delete, get, patch, post, put};

use super::conditions::Headers;
use super::input::{self, collection_name, key, same_id};
use super::once::answer;
use super::refusals::{collection_missing, refused, too_large, unmet};
use super::reply::{Reply, page_of_documents};
use crate::clock::SharedClock;
use crate::events::{EventContext, NewEvent};
use crate::http::body::Media;
use crate::http::guards::{AppRead, AppWrite, DataRead, DataWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, Door, Query};
use crate::records::{Body, CollectionName, DocumentId, Key, Put, ReadVerdict, store};

const JSON: &[&str] = &["application/json"];
const PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

/// Lists a collection's documents by id. Parameters: `limit`, `cursor`. Documents that can't be read are named in `damaged`.
#[get("/api/data/<collection>")]
pub async fn list_documents(
    _may: Needs<DataRead>,
    db: AppRead,
    door: &State<Door>,
    context: RequestContext,
    query: Query,
    collection: &str,
) -> ApiResult<Reply> {
    let name = collection_name(collection)?;
    let (limit, after) = input::page(&query)?;
    let found = store::list(&db.0, name, after, limit)
        .await?
        .ok_or_else(|| collection_missing(collection))?;
    if !found.damaged.is_empty() {
        let error = store::left_out(&found.damaged);
        door.capture
            .capture(NewEvent::from_db_error(&error, EventContext::from(&*context.0)));
    }
    Ok(page_of_documents(&found))
}

/// Creates a document (201) under the id in the body, or under a new one.
#[post("/api/data/<collection>", data = "<data>")]
pub async fn create_document(
    _may: Needs<DataWrite>,
    _none: NoParameters,
    db: AppWrite,
    clock: &State<SharedClock>,
    headers: Headers<'_>,
    media: Media<'_>,
    collection: &str,
    data: Data<'_>,
) -> ApiResult<Reply> {
    let collection = collection_name(collection)?;
    let sent = input::document(media.0, JSON, data).await?;
    let once = headers.once(&(sent.id.as_ref().map(DocumentId::as_str), &sent.members))?;
    let body = Body::from_members(&sent.members).map_err(too_large)?;
    let id = sent.id.unwrap_or_else(DocumentId::generate);
    let key = Key { collection, id };
    let answered = store::create(&db.0, key.clone(), body, once, clock.wall()).await?;
    let created = |(id, made): (String, _)| Reply::document(Status::Created, made).located(path(&key.collection, &id));
    answer(answered, |refusal| refused(refusal, &key), created)
}

/// Reads one document; 304 when the client has it already.
#[get("/api/data/<collection>/<id>")]
pub async fn read_document(
    _may: Needs<DataRead>,
    _none: NoParameters,
    db: AppRead,
    headers: Headers<'_>,
    collection: &str,
    id: &str,
) -> ApiResult<Reply> {
    let key = key(collection, id)?;
    let conditions = headers.conditions()?;
    let outcome = store::get(&db.0, key.clone()).await?;
    let found = outcome.map_err(|refusal| refused(refusal, &key))?;
    match conditions.judge_read(found.version) {
        ReadVerdict::Send => Ok(Reply::document(Status::Ok, found)),
        ReadVerdict::NotModified => Ok(Reply::not_modified(found.version)),
        ReadVerdict::Unmet => Err(unmet(Some(found.version))),
    }
}

/// Creates (201) or replaces (200) the document with this id.
#[put("/api/data/<collection>/<id>", data = "<data>")]
pub async fn put_document(
    _may: Needs<DataWrite>,
    _none: NoParameters,
    db: AppWrite,
    clock: &State<SharedClock>,
    headers: Headers<'_>,
    media: Media<'_>,
    collection: &str,
    id: &str,
    data: Data<'_>,
) -> ApiResult<Reply> {
    let (key, conditions) = (key(collection, id)?, headers.conditions()?);
    let sent = input::document(media.0, JSON, data).await?;
    same_id(&sent, &key)?;
    let once = headers.once(&sent.members)?;
    let body = Body::from_members(&sent.members).map_err(too_large)?;
    let answered = store::put(&db.0, key.clone(), body, conditions, once, clock.wall()).await?;
    let shape = |put| match put {
        Put::Created(made) => Reply::document(Status::Created, made).located(path(&key.collection, key.id.as_str())),
        Put::Replaced(made) => Reply::document(Status::Ok, made),
    };
    answer(answered, |refusal| refused(refusal, &key), shape)
}

/// Applies a merge patch (RFC 7396) to a document.
#[patch("/api/data/<collection>/<id>", data = "<data>")]
pub async fn patch_document(
    _may: Needs<DataWrite>,
    _none: NoParameters,
    db: AppWrite,
    clock: &State<SharedClock>,
    headers: Headers<'_>,
    media: Media<'_>,
    collection: &str,
    id: &str,
    data: Data<'_>,
) -> ApiResult<Reply> {
    let (key, conditions) = (key(collection, id)?, headers.conditions()?);
    let sent = input::document(media.0, PATCH, data).await?;
    same_id(&sent, &key)?;
    let once = headers.once(&sent.members)?;
    let answered = store::patch(&db.0, key.clone(), sent.members, conditions, once, clock.wall()).await?;
    let shape = |made| Reply::document(Status::Ok, made);
    answer(answered, |refusal| refused(refusal, &key), shape)
}

/// Deletes a document.
#[delete("/api/data/<collection>/<id>")]
pub async fn delete_document(
    _may: Needs<DataWrite>,
    _none: NoParameters,
    db: AppWrite,
    headers: Headers<'_>,
    collection: &str,
    id: &str,
) -> ApiResult<Reply> {
    let (key, conditions) = (key(collection, id)?, headers.conditions()?);
    let answered = store::delete(&db.0, key.clone(), conditions, headers.once(&())?).await?;
    answer(answered, |refusal| refused(refusal, &key), |()| Reply::done())
}

/// A document's path; names and ids need no escaping.
fn path(collection: &CollectionName, id: &str) -> String {
    format!("/api/data/{collection}/{id}")
}
