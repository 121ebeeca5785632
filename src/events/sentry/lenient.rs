//! Reading what programs wrote that nobody can correct (floor 2, pure): what fits is taken, the rest is noted.
//!
//! What must stay true: whatever comes in, what goes out keeps the limits of [`super::super::parse`]; each member that
//! is left out or cut is noted once, and the notes are bounded.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Stands at the end of a text that was cut.
pub(super) const CUT: &str = "…[cut]";
/// Most members that are noted.
const MAX_NOTES: usize = 32;
/// Most members or items of one object or array of free JSON.
const MAX_MEMBERS: usize = 200;

/// A JSON value. What isn't UTF-8 or half of a UTF-16 pair, which JavaScript writes, becomes U+FFFD.
pub(super) fn value(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json)
        .ok()
        .or_else(|| serde_json::from_str(&mended(&String::from_utf8_lossy(json))).ok())
}

/// The same JSON with each lone surrogate's escape replaced.
fn mended(json: &str) -> Cow<'_, str> {
    const REPLACEMENT: &str = "\\ufffd";
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let unit = |at: usize| {
        let escape = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(json.len()), 0);
    while let Some(next) = json[at..].find('\\') {
        out.push_str(&json[at..at + next]);
        at += next;
        let taken = match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(REPLACEMENT);
                at += 6;
                continue;
            }
            Some(_) => 6,
            // An escape of one character; a backslash at the very end is left to the JSON parser.
            None => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&json[at..at + taken]);
        at += taken;
    }
    out.push_str(&json[at..]);
    Cow::Owned(out)
}

/// What was left out or cut, by the member's path.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// Notes a member.
    pub(super) fn add(&mut self, member: impl Into<String>) {
        if self.0.len() < MAX_NOTES {
            let mut member = member.into();
            shorten(&mut member, 200);
            if !self.0.contains(&member) {
                self.0.push(member);
            }
        }
    }

    /// All of them.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }

    /// A text of at most `most` bytes: a string, or a number or truth as text. Empty and null are none.
    pub(super) fn text(&mut self, member: &str, value: &Value, most: usize) -> Option<String> {
        let mut text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Array(_) | Value::Object(_) => {
                self.add(member);
                return None;
            }
        };
        if shorten(&mut text, most) {
            self.add(member);
        }
        (!text.is_empty()).then_some(text)
    }

    /// The text of an object's member.
    pub(super) fn member(&mut self, of: &str, object: &Value, name: &str, most: usize) -> Option<String> {
        let value = object.get(name)?;
        let path = if of.is_empty() {
            name.to_owned()
        } else {
            format!("{of}.{name}")
        };
        self.text(&path, value, most)
    }

    /// Free JSON within bounds: deep parts, long texts and long lists are cut.
    pub(super) fn free(&mut self, member: &str, value: &Value, depth: usize, most: usize) -> Value {
        match value {
            Value::String(text) if text.len() > most => {
                self.add(member);
                let mut text = text.clone();
                shorten(&mut text, most);
                Value::String(text)
            }
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                self.add(member);
                Value::String(CUT.to_owned())
            }
            Value::Array(items) => {
                self.note_excess(member, items.len());
                let items = items.iter().take(MAX_MEMBERS);
                items.map(|item| self.free(member, item, depth - 1, most)).collect()
            }
            Value::Object(members) => {
                self.note_excess(member, members.len());
                let members = members.iter().take(MAX_MEMBERS);
                let kept: Map<_, _> = members
                    .map(|(name, value)| (name.clone(), self.free(member, value, depth - 1, most)))
                    .collect();
                Value::Object(kept)
            }
            plain => plain.clone(),
        }
    }

    fn note_excess(&mut self, member: &str, count: usize) {
        if count > MAX_MEMBERS {
            self.add(member);
        }
    }
}

/// Cuts a text to at most `most` bytes, the mark included; whether it had to.
pub(super) fn shorten(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let mut end = most.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(CUT);
    true
}

/// Names and values of an object, of an array of pairs, or of an array of `{key, value}`; the SDKs write all three.
pub(super) fn pairs(value: &Value) -> Option<Vec<(&str, &Value)>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        Value::Array(items) => Some(items.iter().filter_map(pair).collect()),
        _ => None,
    }
}

fn pair(item: &Value) -> Option<(&str, &Value)> {
    match item {
        Value::Array(pair) => match pair.as_slice() {
            [name, value] => Some((name.as_str()?, value)),
            _ => None,
        },
        Value::Object(entry) => Some((entry.get("key")?.as_str()?, entry.get("value")?)),
        _ => None,
    }
}

/// The items of an array, or of an object's `values`, or the one object itself.
pub(super) fn values(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Object(members) => match members.get("values") {
            Some(Value::Array(items)) => items,
            Some(_) => &[],
            None => std::slice::from_ref(value),
        },
        _ => &[],
    }
}
