//! Documents (floor 2): what they are, what becomes of an operation on one, and their JSON text.
//!
//! What must stay true: an id belongs to one document; versions count from 1 in steps of one; every answer's
//! text is made by `render`, out of the stored text. `read` and `change` hold the SQL, over a connection that the
//! caller chose.
mod change;
mod read;

pub use change::{create, delete, patch, put};
pub use read::{PAGE_MAX_BYTES, get, list};

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cursor;
use crate::clock::{from_epoch_ms, push_rfc3339_ms};

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
    out.push_str(r#"{"id":"#);
    push_text(out, id);
    out.push_str(r#","createdAt":""#);
    push_rfc3339_ms(out, from_epoch_ms(created_at_ms));
    out.push_str(r#"","updatedAt":""#);
    push_rfc3339_ms(out, from_epoch_ms(updated_at_ms));
    out.push_str(r#"","version":"#);
    // Text takes what it is given.
    let _ = write!(out, "{version}");
    // The schema promises that a body begins with a brace.
    out.push_str(if body == "{}" { "" } else { "," });
    out.push_str(&body[1..]);
}

/// An id as JSON. Those that are made here need no escaping; what an older or a mended file holds may.
fn push_text(out: &mut String, id: &str) {
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        out.push('"');
        out.push_str(id);
        out.push('"');
    } else {
        out.push_str(&Value::from(id).to_string());
    }
}

#[cfg(test)]
mod tests;
