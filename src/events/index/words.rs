//! What an event can be found by (floor 2, pure): the two columns of the text index, and the tokens that are asked for.
//!
//! What must stay true: indexing and asking make the same tokens, for ever: a change of [`token`] or [`kind_token`] wants
//! the index made anew. A token stands for a hash of a value, so what it finds is compared with the row itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::events::model::{ErrorType, Severity};

/// Most bytes of an event's texts that are indexed: what a person would look for stands at their beginning.
const MOST_TEXT_BYTES: usize = 4096;
/// Innermost frames whose functions can be found.
const FRAMES: usize = 8;

/// A member that events are found by whole, by equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Field {
    /// `path`.
    Path,
    /// `userId`; a number and its digits as a text are asked for alike.
    UserId,
    /// `ip`.
    Ip,
    /// `requestId`.
    RequestId,
    /// `source`.
    Source,
    /// `release`.
    Release,
    /// `environment`.
    Environment,
}

impl Field {
    /// Every field, in the order of the columns of [`Indexed::values`].
    pub const ALL: [Field; 7] = [
        Self::Path,
        Self::UserId,
        Self::Ip,
        Self::RequestId,
        Self::Source,
        Self::Release,
        Self::Environment,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::UserId => "userId",
            Self::Ip => "ip",
            Self::RequestId => "requestId",
            Self::Source => "source",
            Self::Release => "release",
            Self::Environment => "environment",
        }
    }

    /// The field of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The value to look for: an address in the form in which events keep it.
    ///
    /// # Errors
    /// What is allowed.
    pub fn sought(self, value: &str) -> Result<String, &'static str> {
        match self {
            Self::Ip => match value.parse::<IpAddr>() {
                Ok(address) => Ok(address.to_string()),
                Err(_) => Err("must be an IPv4 or IPv6 address"),
            },
            _ => Ok(value.to_owned()),
        }
    }
}

/// The token of a field's value.
pub fn field_token(field: Field, value: &str) -> String {
    token(field.name(), value)
}

/// The token of a tag; its marked name can't be that of a field.
pub fn tag_token(name: &str, value: &str) -> String {
    token(&format!("#{name}"), value)
}

/// The token of a type and a severity: `k03`.
pub fn kind_token(kind: ErrorType, severity: Severity) -> String {
    format!("k{}{}", kind.number(), severity.number())
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo) over the name, a zero and the value, in hexadecimal behind an `x`.
fn token(name: &str, value: &str) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = name.bytes().chain(std::iter::once(0)).chain(value.bytes());
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("x{hash:016x}")
}

/// What is read of an event's JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Body {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    exception: Option<Thrown>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Thrown {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
    frames: Vec<Called>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Called {
    module: Option<String>,
    function: Option<String>,
}

/// What is indexed of an event.
#[derive(Debug, Default)]
pub struct Indexed {
    /// Its place.
    pub at: i64,
    /// Its type and severity.
    pub kind: Option<(ErrorType, Severity)>,
    /// Its message.
    pub message: String,
    /// The values of [`Field::ALL`].
    pub values: [Option<String>; Field::ALL.len()],
    /// Its JSON.
    pub body: Body,
}

impl Indexed {
    /// The column `text`: message, exception, the innermost functions.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut add = |part: &str| {
            let room = MOST_TEXT_BYTES.saturating_sub(text.len()).min(part.len());
            let end = (0..=room).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
            if end > 0 {
                text.push_str(&part[..end]);
                text.push('\n');
            }
        };
        let thrown = self.body.exception.as_ref();
        if let Some(kind) = thrown.and_then(|thrown| thrown.kind.as_deref()) {
            add(kind);
        }
        add(&self.message);
        let Some(thrown) = thrown else { return text };
        if let Some(value) = thrown.value.as_deref().filter(|value| *value != self.message) {
            add(value);
        }
        for frame in thrown.frames.iter().rev().take(FRAMES) {
            for part in [frame.module.as_deref(), frame.function.as_deref()]
                .into_iter()
                .flatten()
            {
                add(part);
            }
        }
        text
    }

    /// The column `terms`: a token for what the event is, each value and each tag.
    pub fn terms(&self) -> String {
        let kind = self.kind.iter().map(|(kind, severity)| kind_token(*kind, *severity));
        let values = Field::ALL
            .into_iter()
            .zip(&self.values)
            .filter_map(|(field, value)| Some(field_token(field, value.as_deref()?)));
        let tags = self.body.tags.iter().map(|(name, value)| tag_token(name, value));
        kind.chain(values).chain(tags).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_change() {
        // Stored in every index there is: another value here finds nothing in them.
        assert_eq!(field_token(Field::Path, "/pay"), token("path", "/pay"));
        assert_eq!(token("", ""), "xaf63bd4c8601b7df");
        assert_eq!(kind_token(ErrorType::System, Severity::Critical), "k33");
        assert_ne!(tag_token("path", "/pay"), field_token(Field::Path, "/pay"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut event = Indexed {
            message: "é".repeat(MOST_TEXT_BYTES),
            ..Indexed::default()
        };
        event.body.exception = Some(Thrown {
            kind: Some("x".to_owned()),
            ..Thrown::default()
        });
        let text = event.text();
        assert!(text.starts_with("x\né") && text.len() <= MOST_TEXT_BYTES + 2);
    }

    #[test]
    fn the_innermost_functions_can_be_found() {
        let frames: Vec<_> = (0..20).map(|n| format!(r#"{{"function":"f{n}","line":1}}"#)).collect();
        let json = format!(
            r#"{{"details":[1],"exception":{{"type":"T","value":"m","frames":[{}]}}}}"#,
            frames.join(",")
        );
        let event = Indexed {
            message: "m".to_owned(),
            body: serde_json::from_str(&json).unwrap(),
            ..Indexed::default()
        };
        assert!(event.text().starts_with("T\nm\nf19\n") && !event.text().contains("f11\n"));
    }
}
