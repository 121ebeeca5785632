//! The frames of a write-ahead log (floor 1, pure): which of them SQLite believes, and what lies behind those.
//!
//! What must stay true: a frame counts only when its checksum, which runs through all frames before it, is the one that
//! stands in it, as in SQLite's own recovery; the salts tell a frame of this log from one that an earlier log left in the
//! same file. The format: <https://sqlite.org/fileformat2.html#walformat>. Called by what brings a log to the disk
//! anew, and at the start by what keeps a log that SQLite is about to cut.

use std::io::{self, Read};

/// Bytes of a log's header.
pub const HEADER: usize = 32;
/// Bytes in front of each page.
pub const FRAME_HEADER: usize = 24;
/// The last bit tells the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;
/// The page sizes that SQLite has.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 512..=65536;

/// The running checksum of a log.
pub struct Sums {
    big_endian: bool,
    salt: [u8; 8],
    sums: (u32, u32),
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// What tells one log from another in the same file: a log that is begun anew has other salts.
pub fn salts_in(header: &[u8; HEADER]) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h, _, _, _, _, _, _, _, _] = *header;
    [a, b, c, d, e, f, g, h]
}

/// A start may have to sum up 64 MiB: the order of the bytes is decided outside of the loop.
fn summed((mut first, mut second): (u32, u32), bytes: &[u8], word: impl Fn([u8; 4]) -> u32) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let [a, b, c, d, e, f, g, h] = *pair else { break };
        first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
        second = second.wrapping_add(word([e, f, g, h])).wrapping_add(first);
    }
    (first, second)
}

impl Sums {
    /// From the header, with the page size; `None` when it isn't whole.
    pub fn of(header: &[u8; HEADER]) -> Option<(Self, usize)> {
        let magic = word(&header[..4]);
        let mut of_log = Self {
            big_endian: magic & 1 == 1,
            salt: salts_in(header),
            sums: (0, 0),
        };
        of_log.add(&header[..24]);
        let page_size = word(&header[8..12]) as usize;
        let is_whole = magic & !1 == MAGIC && of_log.is(&header[24..]);
        (is_whole && page_size.is_power_of_two() && PAGE_SIZES.contains(&page_size)).then_some((of_log, page_size))
    }

    fn add(&mut self, bytes: &[u8]) {
        self.sums = if self.big_endian {
            summed(self.sums, bytes, u32::from_be_bytes)
        } else {
            summed(self.sums, bytes, u32::from_le_bytes)
        };
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.sums == (word(&stored[..4]), word(&stored[4..8]))
    }

    /// Whether the checksum of the next frame is right; the salts stand outside of it.
    fn adds_up(&mut self, frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER..]);
        self.is(&frame[16..FRAME_HEADER])
    }

    fn has_salts(&self, frame: &[u8]) -> bool {
        frame[8..16] == self.salt
    }

    /// Whether the next frame is the one that was written there.
    pub fn admit(&mut self, frame: &[u8]) -> bool {
        self.adds_up(frame) && self.has_salts(frame)
    }
}

/// Where SQLite will end its reading of a log, and what of the same log lies behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whole frames before it; `None` when the header itself is damaged, which drops all of them.
    pub whole: Option<u64>,
    /// Frames from there on that belong to this log and not to an earlier one.
    pub dropped: u64,
    /// Commits among these.
    pub dropped_commits: u64,
}

/// Reads a log to its end: where SQLite will cut it. `None`: nothing that belongs to it will be dropped. A write that was
/// under way when the process or the machine ended looks like rot: whether anything is missing, the commits' numbers tell.
///
/// # Errors
/// The reader's.
pub fn cut_of(mut log: impl Read) -> io::Result<Option<Cut>> {
    let mut header = [0; HEADER];
    if !filled(&mut log, &mut header)? {
        return Ok(None);
    }
    let Some((mut sums, page_size)) = Sums::of(&header) else {
        // Zeros are what a machine that lost its power leaves of a header that was never written.
        let was_written = header.iter().any(|byte| *byte != 0);
        return Ok(was_written.then_some(Cut {
            whole: None,
            dropped: 0,
            dropped_commits: 0,
        }));
    };
    let mut frame = vec![0; FRAME_HEADER + page_size];
    let mut cut = Cut {
        whole: Some(0),
        dropped: 0,
        dropped_commits: 0,
    };
    let (mut whole, mut is_whole) = (0, true);
    while filled(&mut log, &mut frame)? {
        // Whatever follows the first frame that isn't right is told by its salts alone.
        let adds_up = is_whole && sums.adds_up(&frame);
        let has_salts = sums.has_salts(&frame);
        is_whole &= adds_up && has_salts;
        if is_whole {
            whole += 1;
        } else if adds_up || has_salts {
            cut.dropped += 1;
            cut.dropped_commits += u64::from(word(&frame[4..8]) != 0);
        }
    }
    cut.whole = Some(whole);
    Ok((cut.dropped > 0).then_some(cut))
}

/// Fills the buffer; `false` at the end, also where that comes in the middle of it.
fn filled(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of SQLite's own with this many commits of a frame or two.
    fn log(commits: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        let file = rusqlite::Connection::open(&path).expect("opens");
        file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .expect("set");
        file.execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a)")
            .expect("made");
        (0..commits).for_each(|_| drop(file.execute("INSERT INTO t VALUES (randomblob(900))", [])));
        std::fs::read(folder.path().join("a.db-wal")).expect("read")
    }

    const FRAME: usize = FRAME_HEADER + 4096;

    #[test]
    fn a_whole_log_and_a_torn_end_of_it_drop_nothing() {
        let bytes = log(10);
        assert_eq!(cut_of(&*bytes).expect("read"), None);
        for torn in [0, 1, HEADER, HEADER + 30, bytes.len() - 1, bytes.len() - FRAME - 7] {
            assert_eq!(cut_of(&bytes[..torn]).expect("read"), None, "{torn}");
        }
        assert_eq!(cut_of(&[0; 9000][..]).expect("read"), None);
    }

    #[test]
    fn any_flipped_bit_is_found_wherever_it_is() {
        let bytes = log(6);
        let frames = ((bytes.len() - HEADER) / FRAME) as u64;
        for at in (0..bytes.len())
            .step_by(61)
            .chain(0..HEADER + FRAME_HEADER)
            .chain(bytes.len() - 9..bytes.len())
        {
            let mut rotten = bytes.clone();
            rotten[at] ^= 0x20;
            let cut = cut_of(&*rotten).expect("read").unwrap_or_else(|| panic!("byte {at}"));
            let frame = at.checked_sub(HEADER).map(|at| (at / FRAME) as u64);
            assert_eq!(cut.whole, frame, "byte {at}");
            assert_eq!(cut.dropped, frame.map_or(0, |frame| frames - frame), "byte {at}");
        }
    }

    #[test]
    fn what_an_earlier_log_left_in_the_file_is_none_of_this_one() {
        let (old, new) = (log(8), log(2));
        let mixed: Vec<u8> = new.iter().chain(&old[new.len()..]).copied().collect();
        assert_eq!(cut_of(&*mixed).expect("read"), None);
    }
}
