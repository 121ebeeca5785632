//! Documents (floor 2): what they are, what becomes of an operation on one, and their JSON text.
//!
//! What must stay true: an id belongs to one document; versions count from 1 in steps of one; every answer's
//! text is made by `render`, out of the stored text. `read` and `change` hold the SQL, over a connection that the
//! caller chose.
mod change;
mod read;

pub use change::{create, delete, patch, put};
pub use read::{PAGE_MAX_BYTES, get, list};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cursor;
use crate::clock::{from_epoch_ms, rfc3339_ms};

/// A document as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its version, from 1.
    pub version: i64,
    /// The whole JSON text, reserved members first.
    pub json: String,
}

/// A page of a collection, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// The documents: the text of a JSON array.
    pub items_json: String,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    /// Ids of documents that belong here and whose stored bodies can't be read.
    pub damaged: Vec<String>,
}

/// What PUT did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Put {
    /// There was none.
    Created(Document),
    /// There was one.
    Replaced(Document),
}

/// Why a document was not read or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The collection doesn't exist.
    NoCollection,
    /// The collection has no such document.
    NoDocument,
    /// The id is taken.
    Exists,
    /// The conditions don't hold for the version that is there, if one is.
    Unmet(Option<i64>),
    /// The document would be larger than allowed.
    TooLarge,
}

/// What an operation came to; a refusal is a value, not an error of the database.
pub type Outcome<T> = Result<T, Refusal>;

/// The JSON text of a document: reserved members, then the stored ones spliced in as they are. Times in
/// milliseconds since the epoch.
pub(super) fn render(id: &str, version: i64, created_at_ms: i64, updated_at_ms: i64, body: &str) -> String {
    let mut out = String::with_capacity(body.len() + id.len() + 128);
    render_into(&mut out, id, version, created_at_ms, updated_at_ms, body);
    out
}

fn render_into(out: &mut String, id: &str, version: i64, created_at_ms: i64, updated_at_ms: i64, body: &str) {
    for part in [
        r#"{"id":"#,
        &Value::from(id).to_string(),
        r#","createdAt":""#,
        &rfc3339_ms(from_epoch_ms(created_at_ms)),
        r#"","updatedAt":""#,
        &rfc3339_ms(from_epoch_ms(updated_at_ms)),
        r#"","version":"#,
        &version.to_string(),
        // The schema promises that a body begins with a brace.
        if body == "{}" { "" } else { "," },
        &body[1..],
    ] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests;
