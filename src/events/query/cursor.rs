//! A place in a list (floor 2, pure): opaque text on the wire, checked when it comes back.
//!
//! What must stay true: a cursor holds a position and nothing of the filter; text that this list did not give is refused.

use std::fmt;

/// The position of one event in the order of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The event's time, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The event's sequence number.
    pub seq: i64,
}

impl Position {
    /// The position of a cursor's text; `None` when this list did not give it.
    pub fn parse(cursor: &str) -> Option<Self> {
        if cursor.len() != 40 || !cursor.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        let number = |from: usize| {
            u64::from_str_radix(&cursor[from..from + 16], 16)
                .ok()
                .map(u64::cast_signed)
        };
        let position = Self {
            timestamp_ms: number(0)?,
            seq: number(16)?,
        };
        (position.to_string() == cursor).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.timestamp_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        write!(
            f,
            "{:016x}{:016x}{:08x}",
            self.timestamp_ms,
            self.seq,
            crc32fast::hash(&bytes)
        )
    }
}
