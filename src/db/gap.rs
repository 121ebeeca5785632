//! Acknowledged commits that a start found missing, told for a day (floor 1): the gap, and its record in the file of the
//! last commit.
//!
//! What must stay true: nobody misses a gap because the service was started once more; the record stands for itself, so
//! that damage to it costs this memory and nothing else; whatever the wall clock does, it is told for a day at most.
//! Called by the opening; shown by status, health and alerts.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::evidence::SetAside;
use super::internal::DatabaseId;
use super::sequence::{MissingCommits, Sequence};
use crate::clock::{epoch_ms, from_epoch_ms, rfc3339_ms};

const MAGIC: &[u8; 8] = b"MSTGAP1\n";
/// Bytes of its record: magic, database, the two numbers, the time, the kind, whether there is evidence, checksum.
pub const GAP_BYTES: usize = 54;
/// How long it is told.
const TOLD_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a start found missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is missing.
    pub missing: MissingCommits,
    /// When that was found, to the millisecond.
    pub found_at: Timestamp,
    /// The folder within `evidence/` that holds the write-ahead log as it was found, where SQLite would have cut it.
    pub evidence: Option<String>,
}

impl Gap {
    /// When it is no longer told.
    pub fn told_until(&self) -> Timestamp {
        self.found_at.checked_add(TOLD_FOR).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is told at this time. A clock that was put back doesn't make it last.
    pub fn is_told_at(&self, now: Timestamp) -> bool {
        now.duration_since(self.found_at).unsigned_abs() < TOLD_FOR
    }

    pub(super) fn encoded(&self, database: DatabaseId) -> [u8; GAP_BYTES] {
        let (kind, expected, found) = match self.missing {
            MissingCommits::Behind { expected, found } => (0, expected, found),
            MissingCommits::OtherDatabase { expected } => (1, expected, 0),
            MissingCommits::RecordUnreadable => (2, 0, 0),
        };
        let mut bytes = [0; GAP_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&database);
        bytes[24..32].copy_from_slice(&expected.to_le_bytes());
        bytes[32..40].copy_from_slice(&found.to_le_bytes());
        bytes[40..48].copy_from_slice(&epoch_ms(self.found_at).to_le_bytes());
        bytes[48] = kind;
        bytes[49] = u8::from(self.evidence.is_some());
        let sum = crc32fast::hash(&bytes[..50]);
        bytes[50..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// From its record, if it is about this database; `name` is in its evidence's name.
    pub(super) fn decoded(bytes: &[u8], database: DatabaseId, name: &str) -> Option<Self> {
        let (content, sum) = bytes.split_at_checked(50)?;
        let is_ours = content.starts_with(MAGIC) && content[8..24] == database;
        if !is_ours || crc32fast::hash(content).to_le_bytes() != sum {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(content[at..at + 8].try_into().ok()?));
        let (expected, found) = (number(24)?, number(32)?);
        let found_at = from_epoch_ms(i64::from_le_bytes(content[40..48].try_into().ok()?));
        Some(Self {
            missing: match content[48] {
                0 => MissingCommits::Behind { expected, found },
                1 => MissingCommits::OtherDatabase { expected },
                _ => MissingCommits::RecordUnreadable,
            },
            found_at,
            evidence: (content[49] == 1).then(|| SetAside::name_of(name, found_at)),
        })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.missing)?;
        if let Some(folder) = &self.evidence {
            write!(f, "; its log as it was found is kept in evidence/{folder}")?;
        }
        write!(f, " (told until {})", rfc3339_ms(self.told_until()))
    }
}

/// What is to be told: what this start found missing, and otherwise what an earlier one did. The copy of the log becomes
/// evidence of the one, or goes.
pub fn at_start(
    sequence: &mut Sequence,
    missing: Option<MissingCommits>,
    aside: Option<SetAside>,
    name: &str,
    now: Timestamp,
) -> Option<Gap> {
    let found_at = from_epoch_ms(epoch_ms(now));
    let before = sequence.remembered(name).filter(|gap| gap.is_told_at(now));
    let Some(missing) = missing else {
        aside.into_iter().for_each(SetAside::discard);
        return before;
    };
    // An earlier start that ended before its first commit found the same, and has the log from before it was cut.
    if let Some(before) = before.filter(|gap| gap.missing == missing && aside.is_none()) {
        return Some(before);
    }
    let kept = aside.map(|aside| aside.keep(name, found_at, &missing.to_string()));
    let evidence = kept.and_then(|kept| {
        let failed =
            |error| tracing::warn!(database = name, %error, "the copy of the write-ahead log stays without its name");
        kept.map_err(failed).ok()
    });
    let gap = Gap {
        missing,
        found_at,
        evidence,
    };
    sequence.remember(&gap);
    Some(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(second: i64) -> Gap {
        let found_at = Timestamp::from_second(1_800_000_000 + second).expect("a time");
        Gap {
            missing: MissingCommits::Behind { expected: 9, found: 4 },
            found_at,
            evidence: None,
        }
    }

    #[test]
    fn its_record_is_read_as_it_was_written_and_not_with_any_bit_changed() {
        const ID: DatabaseId = [7; 16];
        for missing in [
            MissingCommits::Behind { expected: 9, found: 4 },
            MissingCommits::OtherDatabase { expected: 9 },
            MissingCommits::RecordUnreadable,
        ] {
            let evidence = Some("20270115T080000Z-a".to_owned());
            let whole = Gap {
                missing,
                evidence,
                ..gap(0)
            };
            let bytes = whole.encoded(ID);
            assert_eq!(Gap::decoded(&bytes, ID, "a"), Some(whole));
            assert_eq!(Gap::decoded(&bytes, [8; 16], "a"), None);
            for at in 0..GAP_BYTES {
                let mut torn = bytes;
                torn[at] ^= 4;
                assert_eq!(Gap::decoded(&torn, ID, "a"), None, "{at}");
            }
        }
    }

    #[test]
    fn it_is_told_for_a_day_by_whatever_clock() {
        let hours = |count: i64| gap(count * 3600).found_at;
        let told = [-25, -23, 0, 23, 25].map(|count| gap(0).is_told_at(hours(count)));
        assert_eq!(told, [false, true, true, true, false]);
        assert!(
            gap(0).to_string().ends_with("(told until 2027-01-16T08:00:00.000Z)"),
            "{}",
            gap(0)
        );
    }

    #[test]
    fn a_start_that_finds_the_same_again_keeps_the_evidence_of_the_first() {
        let folder = tempfile::tempdir().expect("folder");
        let database = folder.path().join("a.db");
        let (mut sequence, _) = Sequence::open(&database, [7; 16], 0);
        sequence.acknowledge(9);
        let evidence = Some(SetAside::name_of("a", gap(0).found_at));
        let first = Gap { evidence, ..gap(0) };
        sequence.remember(&first);
        let start = |found, second| {
            let (mut sequence, missing) = Sequence::open(&database, [7; 16], found);
            at_start(&mut sequence, missing, None, "a", gap(second).found_at)
        };
        assert_eq!(start(4, 60), Some(first.clone()), "no commit has come in between");
        assert_eq!(start(9, 60), Some(first.clone()));
        let other = Gap {
            missing: MissingCommits::Behind { expected: 9, found: 3 },
            ..gap(60)
        };
        assert_eq!(start(3, 60), Some(other));
    }
}
