//! The message of a Sentry event (floor 2, pure): as it was formatted, else from its template, else from its exception.

use serde_json::Value;

use super::lenient::{self, Notes};
use crate::events::model::Exception;
use crate::events::parse::MAX_MESSAGE_BYTES;

/// Bounds of what is put into a template, which may name one parameter a thousand times.
const MAX_PARAM_BYTES: usize = 512;
const MAX_NAMED_PARAMS: usize = 32;

/// The message, else the exception in one line, else what is known of where it happened.
pub(super) fn message(notes: &mut Notes, sent: &Value, thrown: Option<&Exception>) -> String {
    let entry = match &sent["logentry"] {
        Value::Null => &sent["message"],
        entry => entry,
    };
    let text = match entry {
        Value::Object(_) => notes
            .member("logentry", entry, "formatted", MAX_MESSAGE_BYTES)
            .or_else(|| formatted(notes, entry)),
        plain => notes.text("message", plain, MAX_MESSAGE_BYTES),
    };
    let of_exception = || {
        let thrown = thrown?;
        let mut text = match (&thrown.kind, &thrown.value) {
            (Some(kind), Some(value)) => format!("{kind}: {value}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => return None,
        };
        lenient::shorten(&mut text, MAX_MESSAGE_BYTES);
        Some(text)
    };
    text.or_else(of_exception)
        .or_else(|| notes.member("", sent, "transaction", MAX_MESSAGE_BYTES))
        .unwrap_or_else(|| "(no message)".to_owned())
}

/// The template with its parameters in place: `%s`, `%d`, `{}` and the like in order, `%(name)s` and `{name}` by name.
fn formatted(notes: &mut Notes, entry: &Value) -> Option<String> {
    let template = notes.member("logentry", entry, "message", MAX_MESSAGE_BYTES)?;
    let shown = |value: &Value| {
        let mut text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        lenient::shorten(&mut text, MAX_PARAM_BYTES);
        text
    };
    let mut text = match &entry["params"] {
        Value::Array(params) => {
            let mut text = String::new();
            let (mut rest, mut params) = (template.as_str(), params.iter());
            while let Some(at) = rest.find(['%', '{']) {
                let width = match rest.as_bytes()[at..] {
                    [b'%', b's' | b'd' | b'i' | b'f' | b'r' | b'o' | b'O' | b'j', ..] | [b'{', b'}', ..] => 2,
                    _ => 0,
                };
                text.push_str(&rest[..at]);
                match params.as_slice() {
                    [next, ..] if width > 0 => {
                        text.push_str(&shown(next));
                        params.next();
                        rest = &rest[at + width..];
                    }
                    _ => {
                        text.push_str(&rest[at..=at]);
                        rest = &rest[at + 1..];
                    }
                }
            }
            text + rest
        }
        Value::Object(params) => params
            .iter()
            .take(MAX_NAMED_PARAMS)
            .fold(template, |text, (name, value)| {
                let value = shown(value);
                let mut text = text
                    .replace(&format!("%({name})s"), &value)
                    .replace(&format!("{{{name}}}"), &value);
                lenient::shorten(&mut text, MAX_MESSAGE_BYTES);
                text
            }),
        _ => template,
    };
    lenient::shorten(&mut text, MAX_MESSAGE_BYTES);
    Some(text)
}
