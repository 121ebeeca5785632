//! What comes in (floor 6): path segments, parameters and bodies, each refused with what is allowed.
use rocket::Data;
use rocket::http::ContentType;
use serde_json::Value;

use super::refusals::not_an_object;
use crate::http::ApiResult;
use crate::http::Query;
use crate::http::body;
use crate::http::{FieldError, Problem};
use crate::records::{
    CollectionName, Cursor, DOCUMENT_MAX_BYTES, DocumentId, Input, InputError, Key, LIMIT_DEFAULT, LIMIT_MAX,
    LIMIT_MIN, kind,
};

/// A collection's name in a path.
pub fn collection_name(text: &str) -> ApiResult<CollectionName> {
    CollectionName::parse(text).map_err(|rule| Problem::invalid("collection", rule))
}

/// A document's place in a path.
pub fn key(collection: &str, id: &str) -> ApiResult<Key> {
    let id = DocumentId::parse(id).map_err(|rule| Problem::invalid("id", rule));
    Ok(Key {
        collection: collection_name(collection)?,
        id: id?,
    })
}

/// The parameters of a list: how many, and after what.
pub fn page(query: &Query) -> ApiResult<(u32, Option<Cursor>)> {
    query.only(&["limit", "cursor"])?;
    let limit = query.number("limit", LIMIT_MIN.into(), LIMIT_MAX.into())?;
    let limit = limit
        .and_then(|limit| u32::try_from(limit).ok())
        .unwrap_or(LIMIT_DEFAULT);
    let Some(token) = query.text("cursor") else {
        return Ok((limit, None));
    };
    let after = Cursor::parse(token)
        .ok_or_else(|| Problem::invalid("cursor", "must be the nextCursor of the page before, unchanged"))?;
    Ok((limit, Some(after)))
}

/// Whether a collection goes with its documents.
pub fn force(query: &Query) -> ApiResult<bool> {
    query.only(&["force"])?;
    match query.text("force") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid("force", "must be true or false")),
    }
}

/// A document, or a patch of one, as it was sent.
pub async fn document(content_type: Option<&ContentType>, allowed: &[&str], data: Data<'_>) -> ApiResult<Input> {
    body::expect_media_type(content_type, allowed)?;
    let sent = body::read_body(data, DOCUMENT_MAX_BYTES as u64).await?;
    Input::from_json(body::parse_json(&sent)?).map_err(|error| match error {
        InputError::NotAnObject(kind) => not_an_object(kind),
        InputError::BadId(rule) => Problem::validation(vec![FieldError::new("/id", rule)]),
    })
}

/// The id in a body, if there is one, must be the path's: a document is never renamed.
pub fn same_id(sent: &Input, key: &Key) -> ApiResult<()> {
    if sent.id.as_ref().is_none_or(|id| *id == key.id) {
        return Ok(());
    }
    let detail = format!("must be the id in the path ({}) or be left out", key.id);
    Err(Problem::validation(vec![FieldError::new("/id", detail)]))
}

/// A collection's settings: nothing, or an object without members.
pub async fn collection_settings(content_type: Option<&ContentType>, data: Data<'_>) -> ApiResult<()> {
    let sent = body::read_body(data, DOCUMENT_MAX_BYTES as u64).await?;
    if sent.is_empty() {
        return Ok(());
    }
    body::expect_media_type(content_type, &["application/json"])?;
    no_members(&body::parse_json(&sent)?)
}

fn no_members(settings: &Value) -> ApiResult<()> {
    let Value::Object(members) = settings else {
        return Err(not_an_object(kind(settings)));
    };
    if members.is_empty() {
        return Ok(());
    }
    let detail = "is not known; a collection has no settings: send {} or no body";
    Err(Problem::validation(
        members.keys().map(|name| FieldError::member(name, detail)).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::Code;

    #[test]
    fn path_segments_that_break_a_rule_are_named() {
        let problem = key("Notes", "1").unwrap_err();
        assert_eq!(
            (problem.code, problem.errors[0].pointer.as_str()),
            (Code::InvalidRequest, "collection")
        );
        let problem = key("notes", "a b").unwrap_err();
        assert_eq!(
            (problem.code, problem.errors[0].pointer.as_str()),
            (Code::InvalidRequest, "id")
        );
        assert!(key("notes", "a-b").is_ok());
    }

    #[test]
    fn another_id_in_the_body_is_refused() {
        let key = key("notes", "n1").unwrap();
        let sent = |value| Input::from_json(value).unwrap();
        assert!(same_id(&sent(json!({})), &key).is_ok());
        assert!(same_id(&sent(json!({"id": "n1"})), &key).is_ok());
        let problem = same_id(&sent(json!({"id": "n2"})), &key).unwrap_err();
        assert_eq!(
            (problem.code, problem.errors[0].pointer.as_str()),
            (Code::ValidationFailed, "/id")
        );
    }

    #[test]
    fn every_setting_of_a_collection_is_refused_by_name() {
        assert!(no_members(&json!({})).is_ok());
        let problem = no_members(&json!({"schema": {}, "a/b": 1})).unwrap_err();
        let pointers: Vec<&str> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(problem.code, Code::ValidationFailed);
        assert_eq!(pointers, ["/schema", "/a~1b"]);
        assert_eq!(no_members(&json!([])).unwrap_err().code, Code::ValidationFailed);
    }
}
