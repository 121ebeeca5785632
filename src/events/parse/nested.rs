//! The checks of members that have members (floor 2, pure): tags, exception, fingerprint, and the code in details.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::model::{Exception, Frame};
use super::Flaw;
use super::members::text;
use super::shape::{escape_pointer, members};

const MAX_TAGS: usize = 64;
const MAX_FRAMES: usize = 250;
const MAX_FINGERPRINT_PARTS: usize = 32;

/// Names to short strings.
pub(super) fn tags(value: &RawValue) -> Result<BTreeMap<String, String>, Vec<Flaw>> {
    let pairs = object("/tags", value)?;
    if pairs.len() > MAX_TAGS {
        return Err(vec![Flaw::new(
            "/tags",
            format!("must have at most {MAX_TAGS} members, has {}", pairs.len()),
        )]);
    }
    let mut tags = BTreeMap::new();
    let mut flaws = Vec::new();
    for (name, value) in pairs {
        let pointer = format!("/tags/{}", escape_pointer(&name));
        if name.is_empty() || name.len() > 200 {
            flaws.push(Flaw::new(pointer, "must have a name of 1 to 200 bytes"));
            continue;
        }
        match text(&pointer, value, 1024) {
            Ok(text) => {
                tags.insert(name.into_owned(), text);
            }
            Err(flaw) => flaws.push(flaw),
        }
    }
    if flaws.is_empty() { Ok(tags) } else { Err(flaws) }
}

/// What was thrown: at least its type or its value.
pub(super) fn exception(value: &RawValue) -> Result<Exception, Vec<Flaw>> {
    let mut exception = Exception::default();
    for (name, value) in object("/exception", value)? {
        if value.get() == "null" {
            continue;
        }
        match name.as_ref() {
            "type" => exception.kind = Some(text("/exception/type", value, 256)?),
            "value" => exception.value = Some(text("/exception/value", value, super::MAX_MESSAGE_BYTES)?),
            "frames" => exception.frames = frames(value)?,
            _ => return Err(unknown("/exception", &name, "type, value, frames")),
        }
    }
    if exception.kind.is_none() && exception.value.is_none() {
        return Err(vec![Flaw::new("/exception", "must have a type or a value")]);
    }
    Ok(exception)
}

fn frames(value: &RawValue) -> Result<Vec<Frame>, Vec<Flaw>> {
    let items: Vec<&RawValue> = list("/exception/frames", value)?;
    if items.len() > MAX_FRAMES {
        let detail = format!("must have at most {MAX_FRAMES} items, has {}", items.len());
        return Err(vec![Flaw::new("/exception/frames", detail)]);
    }
    items
        .iter()
        .enumerate()
        .map(|(i, item)| frame(&format!("/exception/frames/{i}"), item))
        .collect()
}

fn frame(pointer: &str, value: &RawValue) -> Result<Frame, Vec<Flaw>> {
    let mut frame = Frame::default();
    for (name, value) in object(pointer, value)? {
        if value.get() == "null" {
            continue;
        }
        let at = format!("{pointer}/{}", escape_pointer(&name));
        match name.as_ref() {
            "module" => frame.module = Some(text(&at, value, 512)?),
            "function" => frame.function = Some(text(&at, value, 512)?),
            "file" => frame.file = Some(text(&at, value, 1024)?),
            "line" => frame.line = Some(typed(&at, value, "must be a whole number from 0 to 4294967295")?),
            "column" => frame.column = Some(typed(&at, value, "must be a whole number from 0 to 4294967295")?),
            "inApp" => frame.in_app = Some(typed(&at, value, "must be true or false")?),
            _ => return Err(unknown(pointer, &name, "module, function, file, line, column, inApp")),
        }
    }
    Ok(frame)
}

/// The client's own grouping: strings.
pub(super) fn fingerprint(value: &RawValue) -> Result<Vec<String>, Vec<Flaw>> {
    let items: Vec<&RawValue> = list("/fingerprint", value)?;
    if items.len() > MAX_FINGERPRINT_PARTS {
        let detail = format!("must have at most {MAX_FINGERPRINT_PARTS} items, has {}", items.len());
        return Err(vec![Flaw::new("/fingerprint", detail)]);
    }
    let parts = items
        .iter()
        .enumerate()
        .map(|(i, item)| text(&format!("/fingerprint/{i}"), item, 256));
    Ok(parts.collect::<Result<_, Flaw>>()?)
}

/// The member `code` of details, a string or a number.
pub(super) fn code_of_details(details: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Text(String),
        Number(i64),
    }
    if !details.get().starts_with('{') {
        return None;
    }
    let (_, value) = members(details.get())
        .ok()?
        .into_iter()
        .find(|(name, _)| name == "code")?;
    match serde_json::from_str(value.get()).ok()? {
        Code::Text(text) => Some(text),
        Code::Number(number) => Some(number.to_string()),
    }
}

fn object<'a>(pointer: &str, value: &'a RawValue) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Vec<Flaw>> {
    members(value.get()).map_err(|detail| vec![Flaw::new(pointer, detail)])
}

fn list<'a>(pointer: &str, value: &'a RawValue) -> Result<Vec<&'a RawValue>, Vec<Flaw>> {
    typed(pointer, value, "must be an array").map_err(Vec::from)
}

fn typed<'a, T: Deserialize<'a>>(pointer: &str, value: &'a RawValue, expected: &str) -> Result<T, Flaw> {
    serde_json::from_str(value.get()).map_err(|_| Flaw::new(pointer, expected))
}

fn unknown(pointer: &str, name: &str, allowed: &str) -> Vec<Flaw> {
    let pointer = format!("{pointer}/{}", escape_pointer(name));
    vec![Flaw::new(
        pointer,
        format!("is not a known member; allowed are {allowed}"),
    )]
}
