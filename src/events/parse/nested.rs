//! The checks of members that have members (floor 2, pure): tags, exception, fingerprint, and the code in details.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::context::SourceLines;
use super::super::model::{Exception, Frame};
use super::Flaw;
use super::members::{any_text, text};
use super::shape::{escape_pointer, members};

/// Most tags of a report.
pub(super) const MAX_TAGS: usize = 64;
const MAX_FRAMES: usize = 250;
const MAX_FINGERPRINT_PARTS: usize = 32;
/// Most lines of source on either side of a frame's line.
const MAX_LINES: usize = 20;
const MAX_LINE_BYTES: usize = 1024;

/// Names to short strings, at most so many.
pub(super) fn tags(value: &RawValue, most: usize) -> Result<BTreeMap<String, String>, Vec<Flaw>> {
    let pairs = object("/tags", value)?;
    if pairs.len() > most {
        let detail = format!("must have at most {most} members, has {}", pairs.len());
        return Err(vec![Flaw::new("/tags", detail)]);
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
pub(super) fn exception(pointer: &str, value: &RawValue) -> Result<Exception, Vec<Flaw>> {
    let mut exception = Exception::default();
    for (name, value) in object(pointer, value)? {
        if value.get() == "null" {
            continue;
        }
        let at = format!("{pointer}/{}", escape_pointer(&name));
        match name.as_ref() {
            "type" => exception.kind = Some(text(&at, value, 256)?),
            "value" => exception.value = Some(text(&at, value, super::MAX_MESSAGE_BYTES)?),
            "module" => exception.module = Some(text(&at, value, 512)?),
            "handled" => exception.handled = Some(typed(&at, value, "must be true or false")?),
            "frames" => exception.frames = frames(&at, value)?,
            _ => return Err(unknown(pointer, &name, "type, value, module, handled, frames")),
        }
    }
    if exception.kind.is_none() && exception.value.is_none() {
        return Err(vec![Flaw::new(pointer, "must have a type or a value")]);
    }
    Ok(exception)
}

fn frames(pointer: &str, value: &RawValue) -> Result<Vec<Frame>, Vec<Flaw>> {
    each(pointer, value, MAX_FRAMES, frame)
}

fn frame(pointer: &str, value: &RawValue) -> Result<Frame, Vec<Flaw>> {
    const NUMBER: &str = "must be a whole number from 0 to 4294967295";
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
            "absPath" => frame.abs_path = Some(text(&at, value, 2048)?),
            "line" => frame.line = Some(typed(&at, value, NUMBER)?),
            "column" => frame.column = Some(typed(&at, value, NUMBER)?),
            "inApp" => frame.in_app = Some(typed(&at, value, "must be true or false")?),
            "context" => frame.context = Some(source_lines(&at, value)?),
            _ => {
                let allowed = "module, function, file, absPath, line, column, inApp, context";
                return Err(unknown(pointer, &name, allowed));
            }
        }
    }
    Ok(frame)
}

fn source_lines(pointer: &str, value: &RawValue) -> Result<SourceLines, Vec<Flaw>> {
    let mut lines = SourceLines::default();
    let line = |at: &str, value: &RawValue| any_text(at, value, MAX_LINE_BYTES).map_err(Vec::from);
    for (name, value) in object(pointer, value)? {
        let at = format!("{pointer}/{}", escape_pointer(&name));
        match name.as_ref() {
            "before" => lines.before = each(&at, value, MAX_LINES, line)?,
            "line" => lines.line = line(&at, value)?,
            "after" => lines.after = each(&at, value, MAX_LINES, line)?,
            _ => return Err(unknown(pointer, &name, "before, line, after")),
        }
    }
    Ok(lines)
}

/// The client's own grouping: strings of at most so many bytes.
pub(super) fn fingerprint(value: &RawValue, most_bytes: usize) -> Result<Vec<String>, Vec<Flaw>> {
    each("/fingerprint", value, MAX_FINGERPRINT_PARTS, |at, item| {
        text(at, item, most_bytes).map_err(Vec::from)
    })
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

pub(super) fn object<'a>(pointer: &str, value: &'a RawValue) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Vec<Flaw>> {
    members(value.get()).map_err(|detail| vec![Flaw::new(pointer, detail)])
}

/// Each item of an array that has at most `most`, by its own pointer.
pub(super) fn each<T>(
    pointer: &str,
    value: &RawValue,
    most: usize,
    item: impl Fn(&str, &RawValue) -> Result<T, Vec<Flaw>>,
) -> Result<Vec<T>, Vec<Flaw>> {
    let items: Vec<&RawValue> = typed(pointer, value, "must be an array")?;
    if items.len() > most {
        let detail = format!("must have at most {most} items, has {}", items.len());
        return Err(vec![Flaw::new(pointer, detail)]);
    }
    let parsed = items.iter().enumerate();
    parsed
        .map(|(i, value)| item(&format!("{pointer}/{i}"), value))
        .collect()
}

pub(super) fn typed<'a, T: Deserialize<'a>>(pointer: &str, value: &'a RawValue, expected: &str) -> Result<T, Flaw> {
    serde_json::from_str(value.get()).map_err(|_| Flaw::new(pointer, expected))
}

pub(super) fn unknown(pointer: &str, name: &str, allowed: &str) -> Vec<Flaw> {
    let pointer = format!("{pointer}/{}", escape_pointer(name));
    vec![Flaw::new(
        pointer,
        format!("is not a known member; allowed are {allowed}"),
    )]
}
