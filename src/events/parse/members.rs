//! The checks of single members (floor 2, pure): each gives the value, or a flaw that says what is allowed.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::model::UserId;
use super::Flaw;

impl From<Flaw> for Vec<Flaw> {
    fn from(flaw: Flaw) -> Self {
        vec![flaw]
    }
}

fn string(pointer: &str, value: &RawValue) -> Result<String, Flaw> {
    serde_json::from_str(value.get()).map_err(|_| {
        let is_string = value.get().starts_with('"');
        let detail = if is_string {
            "has half of a surrogate pair, which is no character"
        } else {
            "must be a string"
        };
        Flaw::new(pointer, detail)
    })
}

/// A non-empty string of at most `max` bytes.
pub(super) fn text(pointer: &str, value: &RawValue, max: usize) -> Result<String, Flaw> {
    let text = any_text(pointer, value, max)?;
    if text.is_empty() {
        return Err(Flaw::new(pointer, "must not be empty"));
    }
    Ok(text)
}

/// A string of at most `max` bytes, which may be empty.
pub(super) fn any_text(pointer: &str, value: &RawValue, max: usize) -> Result<String, Flaw> {
    let text = string(pointer, value)?;
    if text.len() > max {
        return Err(Flaw::new(
            pointer,
            format!("must be at most {max} bytes, has {}", text.len()),
        ));
    }
    Ok(text)
}

/// One of a closed list of words.
pub(super) fn word<T>(
    pointer: &str,
    value: &RawValue,
    find: impl Fn(&str) -> Option<T>,
    allowed: &[&str],
) -> Result<T, Flaw> {
    serde_json::from_str::<String>(value.get())
        .ok()
        .and_then(|word| find(&word))
        .ok_or_else(|| Flaw::new(pointer, format!("must be one of {}", allowed.join(", "))))
}

/// A UUID, with dashes or as 32 hexadecimal digits.
pub(super) fn id(value: &RawValue) -> Result<Uuid, Flaw> {
    let wrong = || Flaw::new("/id", "must be a UUID, with dashes or as 32 hexadecimal digits");
    let text = string("/id", value).map_err(|_| wrong())?;
    parse_id(&text).ok_or_else(wrong)
}

/// The UUID of its two plain forms; braces and URNs are not among them.
pub fn parse_id(text: &str) -> Option<Uuid> {
    if matches!(text.len(), 32 | 36) {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

/// An RFC 3339 time with its offset.
pub(super) fn time(pointer: &str, value: &RawValue) -> Result<Timestamp, Flaw> {
    serde_json::from_str::<String>(value.get())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Flaw::new(pointer, "must be an RFC 3339 time such as 2025-01-31T08:30:00.000Z"))
}

/// An IP address, in its canonical form.
pub(super) fn address(pointer: &str, value: &RawValue) -> Result<String, Flaw> {
    let wrong = || Flaw::new(pointer, "must be an IPv4 or IPv6 address");
    let text = string(pointer, value).map_err(|_| wrong())?;
    text.parse::<IpAddr>().map(|ip| ip.to_string()).map_err(|_| wrong())
}

/// A whole number, or a non-empty string of at most `max` bytes.
pub(super) fn integer_or_text(pointer: &str, value: &RawValue, max: usize) -> Result<UserId, Flaw> {
    if value.get().starts_with('"') {
        return text(pointer, value, max).map(UserId::Text);
    }
    serde_json::from_str(value.get())
        .map(UserId::Number)
        .map_err(|_| Flaw::new(pointer, "must be a string or a whole number of at most 64 bits"))
}
