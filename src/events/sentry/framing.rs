//! An envelope into its items (floor 2, pure).
//!
//! What must stay true: payloads are sliced, not copied; an item with a length may hold any bytes, one without ends at
//! the line's end; what came before a broken item is kept, because its sender won't send it again.

use serde_json::{Map, Value};

use super::{Unusable, lenient};

/// Most items of one envelope.
pub const MAX_ITEMS: usize = 100;

/// An envelope, taken apart.
pub(super) struct Framed<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) items: Vec<Item<'a>>,
    /// What is wrong after the last of the items.
    pub(super) broken: Option<String>,
}

/// One item.
pub(super) struct Item<'a> {
    /// Its type; empty when it has none.
    pub(super) kind: String,
    pub(super) payload: &'a [u8],
}

/// The envelope's own header.
pub(super) fn header(body: &[u8]) -> Result<Map<String, Value>, Unusable> {
    let (line, _) = first_line(body);
    object(line).ok_or_else(|| {
        let detail = "the first line of an envelope must be a JSON object, its header";
        Unusable::Malformed(detail.to_owned())
    })
}

pub(super) fn parse(body: &[u8]) -> Result<Framed<'_>, Unusable> {
    let mut framed = Framed {
        header: header(body)?,
        items: Vec::new(),
        broken: None,
    };
    let (_, mut rest) = first_line(body);
    loop {
        // Empty lines between items and at the end mean nothing.
        while let [b'\n' | b'\r', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Ok(framed);
        }
        if framed.items.len() == MAX_ITEMS {
            let detail = format!("an envelope may have at most {MAX_ITEMS} items");
            return Err(Unusable::TooLarge(detail));
        }
        match item(rest) {
            Ok((item, after)) => {
                framed.items.push(item);
                rest = after;
            }
            Err(why) => {
                framed.broken = Some(format!("item {} of the envelope: {why}", framed.items.len()));
                return Ok(framed);
            }
        }
    }
}

/// The first item, and what follows it.
fn item(rest: &[u8]) -> Result<(Item<'_>, &[u8]), &'static str> {
    let (line, after) = first_line(rest);
    let header = object(line).ok_or("its header must be a JSON object")?;
    let (payload, after) = match header.get("length") {
        None | Some(Value::Null) => first_line(after),
        Some(length) => {
            let length = length.as_u64().ok_or("its length must be a whole number")?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (payload, after) = after.split_at_checked(length).ok_or("it is shorter than its length")?;
            match after {
                [] => (payload, after),
                [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => (payload, after),
                _ => return Err("it is longer than its length"),
            }
        }
    };
    let kind = header.get("type").and_then(Value::as_str).unwrap_or("").to_owned();
    Ok((Item { kind, payload }, after))
}

/// Up to the line's end, and what comes after that.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

fn object(line: &[u8]) -> Option<Map<String, Value>> {
    match lenient::value(line) {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    }
}
