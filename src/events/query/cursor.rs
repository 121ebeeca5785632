//! A place in a list (floor 2, pure): opaque text on the wire, checked when it comes back.
//!
//! What must stay true: a cursor holds a position and nothing of the filter; text that this list did not give is refused.

use std::fmt;

use crate::events::order::first_place;

/// The position of one event in the order of lists: its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub i64);

/// Hexadecimal digits of the place and of its checksum.
const DIGITS: (usize, usize) = (16, 8);

impl Position {
    /// The position before every event of this millisecond since the epoch: a page after it holds older events.
    pub const fn at_ms(ms: i64) -> Self {
        Self(first_place(ms))
    }

    /// The position of a cursor's text; `None` when this list did not give it.
    pub fn parse(cursor: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if cursor.len() != DIGITS.0 + DIGITS.1 || !cursor.bytes().all(is_digit) {
            return None;
        }
        let place = u64::from_str_radix(&cursor[..DIGITS.0], 16).ok()?.cast_signed();
        let position = Self(place);
        (position.to_string() == cursor).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.0, crc32fast::hash(&self.0.to_be_bytes()))
    }
}
