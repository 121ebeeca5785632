//! A position in the log (floor 2, pure): how far somebody has read, as text that is the `id` of a message.
//!
//! What must stay true: text that no tail gave is refused; a position of another log is known as that. What a reader is
//! told when it can't simply go on is decided here.

use std::fmt;

/// How far somebody has read in the order of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Everything up to this number was read.
    pub stored: i64,
    /// The log that it is a number of.
    pub log: u32,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// With what is stored from now on.
    Now,
    /// With the oldest that is kept.
    Beginning,
    /// With what was stored after this.
    Position(Position),
}

/// What the log says of its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which log this is.
    pub log: u32,
    /// The number that was given last.
    pub last: i64,
    /// The largest number of an event that was removed.
    pub removed: i64,
}

/// Why what follows may not be all that there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Events that were stored after the position were removed before they were read.
    Removed,
    /// The position is of another log: a new or restored file.
    OtherLog,
}

impl Gap {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::OtherLog => "otherLog",
        }
    }

    /// The same in words.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Removed => {
                "Events that were stored after your position have left the log by its bounds or by hand; \
                 what is still there follows."
            }
            Self::OtherLog => {
                "Your position is of another event log, which was replaced or restored; what this one holds follows."
            }
        }
    }
}

impl Position {
    /// The position of a message's `id`; `None` when no tail gave it.
    pub fn parse(text: &str) -> Option<Self> {
        let (stored, log) = text.split_once('-')?;
        let position = Self {
            stored: stored.parse().ok().filter(|stored| *stored >= 0)?,
            log: u32::from_str_radix(log, 16).ok()?,
        };
        // One text for one position: no sign, no zeros before it, no capitals.
        (position.to_string() == text).then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.stored, self.log)
    }
}

/// The number after which to read, and the gap that is to be told first. `told` is the largest removed number that the
/// reader heard of.
pub(super) fn begin(after: After, head: Head, told: i64) -> (i64, Option<Gap>) {
    let from = match after {
        After::Now => return (head.last, None),
        After::Beginning => 0,
        // An older copy of the file that goes on under its old name is behind a reader of the newer one.
        After::Position(at) if at.log != head.log || at.stored > head.last => return (0, Some(Gap::OtherLog)),
        After::Position(at) => at.stored,
    };
    (from, (head.removed > from.max(told)).then_some(Gap::Removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        log: 7,
        last: 50,
        removed: 20,
    };

    fn at(stored: i64, log: u32) -> After {
        After::Position(Position { stored, log })
    }

    #[test]
    fn what_comes_back_is_what_was_given_and_nothing_else_is_taken() {
        for position in [(0, 0), (1, 0xbad), (i64::MAX, u32::MAX)] {
            let (stored, log) = position;
            let position = Position { stored, log };
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for wrong in [
            "",
            "-",
            "5",
            "5-",
            "-5-00000007",
            "+5-00000007",
            "05-00000007",
            "5-7",
            "5-0000000A",
            "5-000000007",
            "9223372036854775808-00000007",
            "5-00000007 ",
            "é-00000007",
        ] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_gap_is_told_when_something_unread_was_removed_or_the_log_is_another() {
        assert_eq!(begin(After::Now, HEAD, 0), (50, None));
        assert_eq!(begin(After::Beginning, HEAD, 0), (0, Some(Gap::Removed)));
        assert_eq!(begin(at(19, 7), HEAD, 0), (19, Some(Gap::Removed)));
        assert_eq!(begin(at(19, 7), HEAD, 20), (19, None), "told already");
        assert_eq!(begin(at(20, 7), HEAD, 0), (20, None), "what was read may go");
        assert_eq!(begin(at(50, 7), HEAD, 0), (50, None));
        assert_eq!(begin(at(51, 7), HEAD, 0), (0, Some(Gap::OtherLog)));
        assert_eq!(begin(at(30, 8), HEAD, 99), (0, Some(Gap::OtherLog)));
    }
}
