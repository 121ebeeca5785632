//! The place in a list where the next page begins (floor 2, pure).
//!
//! What must stay true: a cursor names the last key that was given, never a count, so that documents which come
//! or go between two pages neither repeat nor hide others. Its token is opaque to clients: the first letter is
//! the form's version, so that a later form can tell old tokens apart.
use std::fmt;

use super::names::is_key;

const FORM: u8 = b'1';

/// A place in a list: after this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The place after a collection's name or a document's id.
    pub fn after(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The place that a token means; `None` when it is not a token of ours.
    pub fn parse(token: &str) -> Option<Self> {
        let mut bytes = unhex(token)?;
        if bytes.first() != Some(&FORM) {
            return None;
        }
        bytes.remove(0);
        let key = String::from_utf8(bytes).ok()?;
        is_key(&key).then_some(Self(key))
    }

    /// The last key before the place.
    pub fn key(&self) -> &str {
        &self.0
    }
}

/// Writes the token: lower-case hexadecimal, safe in a query string.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM:02x}")?;
        self.0.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_the_same_place() {
        for key in [
            "a",
            "0192f7c0-7b1e-7000-8000-000000000001",
            "A.b_c~d-9",
            "z".repeat(128).as_str(),
        ] {
            let token = Cursor::after(key).to_string();
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
            assert_eq!(Cursor::parse(&token), Some(Cursor::after(key)));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = Cursor::after(&"z".repeat(129)).to_string();
        for bad in [
            "",
            "31",
            "3",
            "316",
            "3261",
            "31zz",
            "316A",
            "3120",
            "31c3",
            "31é",
            "abc",
            long.as_str(),
        ] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_cut_anywhere_is_refused_or_a_shorter_key() {
        let token = Cursor::after("note-42").to_string();
        for end in 0..token.len() {
            let parsed = Cursor::parse(&token[..end]);
            assert!(
                parsed.is_none_or(|c| "note-42".starts_with(c.key()) && c.key() != "note-42"),
                "{end}"
            );
        }
    }
}
