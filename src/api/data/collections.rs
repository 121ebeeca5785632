//! Handlers of collections (floor 6).
//!
//! What must stay true: creating is idempotent (PUT), so that a program may do it at each of its starts.
use rocket::http::Status;
use rocket::response::status::NoContent;
use rocket::{Data, State, delete, get, put};
use serde_json::{Value, json};

use super::input::{self, collection_name};
use super::refusals::collection_refused;
use super::reply::{Reply, page};
use crate::clock::{SharedClock, from_epoch_ms, rfc3339_ms};
use crate::http::ApiResult;
use crate::http::Query;
use crate::http::body::Media;
use crate::http::guards::{AppRead, AppWrite, DataRead, DataWrite, Needs, NoParameters};
use crate::records::{Collection, store};

/// Creates a collection (201), or finds it (200). The body is empty or `{}`.
#[put("/api/data/<collection>", data = "<data>")]
pub async fn put_collection(
    _may: Needs<DataWrite>,
    _none: NoParameters,
    db: AppWrite,
    clock: &State<SharedClock>,
    media: Media<'_>,
    collection: &str,
    data: Data<'_>,
) -> ApiResult<Reply> {
    let name = collection_name(collection)?;
    input::collection_settings(media.0, data).await?;
    let (made, new) = store::create_collection(&db.0, name, clock.wall()).await?;
    let reply = Reply::json(if new { Status::Created } else { Status::Ok }, shape(&made).to_string());
    Ok(if new {
        reply.located(format!("/api/data/{}", made.name))
    } else {
        reply
    })
}

/// Lists the collections by name, with how many documents each has. Parameters: `limit`, `cursor`.
#[get("/api/data")]
pub async fn list_collections(_may: Needs<DataRead>, db: AppRead, query: Query) -> ApiResult<Reply> {
    let (limit, after) = input::page(&query)?;
    let found = store::list_collections(&db.0, after, limit).await?;
    let items = Value::from_iter(found.items.iter().map(shape));
    Ok(page(&items.to_string(), found.next.as_ref()))
}

/// Deletes a collection that is empty; with `force=true` its documents too, if they aren't too many for one write.
#[delete("/api/data/<collection>")]
pub async fn delete_collection(
    _may: Needs<DataWrite>,
    db: AppWrite,
    query: Query,
    collection: &str,
) -> ApiResult<NoContent> {
    let name = collection_name(collection)?;
    let force = input::force(&query)?;
    let outcome = store::delete_collection(&db.0, name, force).await?;
    outcome.map_err(|refusal| collection_refused(refusal, collection))?;
    Ok(NoContent)
}

fn shape(collection: &Collection) -> Value {
    json!({
        "name": collection.name,
        "createdAt": rfc3339_ms(from_epoch_ms(collection.created_at_ms)),
        "documents": collection.documents,
    })
}
