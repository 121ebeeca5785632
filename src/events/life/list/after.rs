//! A place in the list of groups (floor 2, pure): opaque text on the wire, checked when it comes back.

use std::fmt;

use super::Sort;

/// The place of one group in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// The order.
    pub sort: Sort,
    /// What the order is by.
    pub key: i64,
    /// The group.
    pub id: i64,
}

/// Hexadecimal digits of the order, of each number, and of the checksum.
const DIGITS: (usize, usize, usize) = (2, 16, 8);

impl After {
    /// The place of a cursor's text; `None` when this order's list did not give it.
    pub fn parse(cursor: &str, sort: Sort) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if cursor.len() != DIGITS.0 + 2 * DIGITS.1 + DIGITS.2 || !cursor.bytes().all(is_digit) {
            return None;
        }
        let number = |from: usize| {
            Some(
                u64::from_str_radix(&cursor[from..from + DIGITS.1], 16)
                    .ok()?
                    .cast_signed(),
            )
        };
        let after = Self {
            sort,
            key: number(DIGITS.0)?,
            id: number(DIGITS.0 + DIGITS.1)?,
        };
        (after.to_string() == cursor).then_some(after)
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:02x}{:016x}{:016x}", self.sort.number(), self.key, self.id);
        write!(f, "{text}{:08x}", crc32fast::hash(text.as_bytes()))
    }
}
