//! The outer shapes of a body (floor 2, pure): one object, an array, NDJSON; and the members of one object.
//!
//! What must stay true: values are sliced out of the text and not copied; a malformed line is the error of that line
//! alone, while malformed JSON in an array or a single object is the error of the whole body.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Flaw;

/// Most items of one body.
pub const MAX_ITEMS: usize = 10_000;

/// The items of a body, each the JSON text of one event.
pub type Items<'a> = Vec<&'a str>;

/// Why a body as a whole gives no items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It isn't JSON; the text says where.
    Malformed(String),
    /// It has more than [`MAX_ITEMS`] items.
    TooMany(usize),
}

/// A text without the byte order mark that some editors and shells begin UTF-8 with: it is no part of what is written.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The one item of a body that holds one JSON value.
///
/// # Errors
/// When it isn't JSON.
pub fn single_item(body: &str) -> Result<&str, Unreadable> {
    let value: &RawValue = serde_json::from_str(body).map_err(|e| Unreadable::Malformed(e.to_string()))?;
    Ok(value.get())
}

/// The items of a JSON array.
///
/// # Errors
/// When it isn't JSON, or too long.
pub fn array_items(body: &str) -> Result<Items<'_>, Unreadable> {
    let values: Vec<&RawValue> = serde_json::from_str(body).map_err(|e| Unreadable::Malformed(e.to_string()))?;
    bounded(values.into_iter().map(RawValue::get).collect())
}

/// The items of NDJSON: one a line, blank lines skipped and not counted. A line that isn't UTF-8 is its own flaw.
///
/// # Errors
/// When there are too many.
pub fn ndjson_items(body: &[u8]) -> Result<Vec<Result<&str, Vec<Flaw>>>, Unreadable> {
    let lines = without_mark(body).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let item = |line| {
        std::str::from_utf8(line).map_err(|e| {
            let detail = format!("must be UTF-8; byte {} of the line is not", e.valid_up_to());
            vec![Flaw::new("", detail)]
        })
    };
    bounded(lines.filter(|line| !line.is_empty()).map(item).collect())
}

fn bounded<T>(items: Vec<T>) -> Result<Vec<T>, Unreadable> {
    if items.len() > MAX_ITEMS {
        Err(Unreadable::TooMany(items.len()))
    } else {
        Ok(items)
    }
}

/// The members of a JSON object in their order; the error says what is wrong with the text.
pub(super) fn members(json: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
    match serde_json::from_str::<Members<'_>>(json) {
        Ok(members) => Ok(members.0),
        Err(e) if e.is_data() => Err("must be a JSON object without repeated members".to_owned()),
        Err(e) => Err(format!("is not valid JSON: {e}")),
    }
}

/// Members of an object that are looked through one by one.
const FEW: usize = 32;

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut names: HashSet<Cow<'de, str>> = HashSet::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    // Looking through a few is quickest; looking through many for each would take the square of them.
                    let repeated = if pairs.len() < FEW {
                        pairs.iter().any(|(known, _)| *known == name)
                    } else {
                        if names.is_empty() {
                            names.extend(pairs.iter().map(|(known, _)| known.clone()));
                        }
                        !names.insert(name.clone())
                    };
                    if repeated {
                        return Err(serde::de::Error::custom("repeated member"));
                    }
                    pairs.push((name, value));
                }
                Ok(Members(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A member's name as one step of a JSON pointer (RFC 6901), at most 64 characters of it.
pub(super) fn escape_pointer(name: &str) -> String {
    name.chars()
        .take(64)
        .collect::<String>()
        .replace('~', "~0")
        .replace('/', "~1")
}
