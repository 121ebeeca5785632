//! Bodies of documents (floor 2, pure): what a client sent, and what is stored.
//!
//! What must stay true: a stored body is a compact JSON object without the reserved members; what a client read
//! it may send back, so reserved members in a sent body are no error, and the size limit leaves room for them.
use serde_json::{Map, Value};

use super::names::{DocumentId, ID_RULE};

/// The most bytes a document may have, reserved members included, as it is sent and answered.
pub const DOCUMENT_MAX_BYTES: usize = 1 << 20;
/// The most bytes that the reserved members take: an id of 128, two times, a version and their names.
const RESERVED_MAX_BYTES: usize = 320;
/// Reserved members that the service sets; the fourth, `id`, a client may choose.
const SET_BY_US: [&str; 3] = ["createdAt", "updatedAt", "version"];

/// Why a JSON value is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputError {
    /// It isn't an object but this.
    NotAnObject(&'static str),
    /// Its `id` breaks the rule, which is this.
    BadId(&'static str),
}

/// A document is larger than [`DOCUMENT_MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// What a client sent: a document, or a patch of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The id in the body; null is none.
    pub id: Option<DocumentId>,
    /// The members that are not reserved.
    pub members: Map<String, Value>,
}

impl Input {
    /// Takes the reserved members out of a sent value.
    pub fn from_json(value: Value) -> Result<Self, InputError> {
        let mut members = match value {
            Value::Object(members) => members,
            other => return Err(InputError::NotAnObject(kind(&other))),
        };
        for name in SET_BY_US {
            members.shift_remove(name);
        }
        let id = match members.shift_remove("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(DocumentId::parse(&id).map_err(InputError::BadId)?),
            Some(_) => return Err(InputError::BadId(ID_RULE)),
        };
        Ok(Self { id, members })
    }
}

/// What is stored of a document: its own members as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// The text of these members.
    pub fn from_members(members: &Map<String, Value>) -> Result<Self, TooLarge> {
        let text = serde_json::to_string(members).expect("names are strings and numbers finite, so it is JSON");
        if text.len() > DOCUMENT_MAX_BYTES - RESERVED_MAX_BYTES {
            Err(TooLarge)
        } else {
            Ok(Self(text))
        }
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a JSON value is, with its article.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::records::documents::render;

    #[test]
    fn reserved_members_are_taken_out() {
        let sent =
            json!({"id": "n1", "createdAt": "x", "updatedAt": null, "version": 9, "title": "a", "at": {"id": 1}});
        let input = Input::from_json(sent).unwrap();
        assert_eq!(input.id.unwrap().as_str(), "n1");
        assert_eq!(Value::Object(input.members), json!({"title": "a", "at": {"id": 1}}));
        assert_eq!(Input::from_json(json!({"id": null})).unwrap().id, None);
    }

    #[test]
    fn members_keep_their_order() {
        let sent: Value = serde_json::from_str(r#"{"id": "n1", "version": 1, "z": 1, "b": 2, "a": 3}"#).unwrap();
        let body = Body::from_members(&Input::from_json(sent).unwrap().members).unwrap();
        assert_eq!(body.as_str(), r#"{"z":1,"b":2,"a":3}"#);
    }

    #[test]
    fn what_is_no_document_is_named() {
        for (value, kind) in [
            (json!([1]), "an array"),
            (json!(null), "null"),
            (json!("x"), "a string"),
        ] {
            assert_eq!(Input::from_json(value), Err(InputError::NotAnObject(kind)));
        }
        for id in [json!(5), json!(""), json!("a b"), json!({})] {
            assert_eq!(Input::from_json(json!({"id": id})), Err(InputError::BadId(ID_RULE)));
        }
    }

    #[test]
    fn the_largest_body_can_be_sent_back_as_it_was_read() {
        let of = |length: usize| json!({"t": "x".repeat(length)}).as_object().unwrap().clone();
        let largest = DOCUMENT_MAX_BYTES - RESERVED_MAX_BYTES - r#"{"t":""}"#.len();
        let body = Body::from_members(&of(largest)).unwrap();
        let id = "z".repeat(128);
        assert!(render(&id, i64::MAX, i64::MAX, i64::MAX, body.as_str()).len() <= DOCUMENT_MAX_BYTES);
        assert_eq!(Body::from_members(&of(largest + 1)), Err(TooLarge));
    }
}
