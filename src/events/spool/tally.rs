//! How much of a segment was acknowledged, in a small file beside it (floor 2). Blocking; only the shelf's side calls it.
//!
//! What must stay true: a tally is written after the sync of what it counts and before anybody is told, so it never counts an
//! event that wasn't accepted; it goes before its segment does, so one without a segment means a segment that was lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Two little-endian numbers and their CRC-32.
const SIZE: usize = 20;

/// Bytes of a segment, header included, and the events in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) events: u64,
}

impl Tally {
    /// The tally of an earlier process; `None` when there is none or it was cut off itself (a power cut), so that only
    /// the segment can tell.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let content = std::fs::read(path).ok()?;
        let (numbers, checksum) = content.split_at_checked(SIZE - 4)?;
        if crc32fast::hash(numbers).to_le_bytes() != checksum {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            bytes: number(0)?,
            events: number(8)?,
        })
    }

    fn encode(self) -> [u8; SIZE] {
        let mut out = [0; SIZE];
        out[..8].copy_from_slice(&self.bytes.to_le_bytes());
        out[8..16].copy_from_slice(&self.events.to_le_bytes());
        let checksum = crc32fast::hash(&out[..16]);
        out[16..].copy_from_slice(&checksum.to_le_bytes());
        out
    }
}

/// The file of a segment that is written to.
pub(super) struct TallyFile(File);

impl TallyFile {
    /// Makes it with nothing counted, so that its bytes are there before the disk is full.
    pub(super) fn create(path: &Path, empty: Tally) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let mut made = Self(file);
        made.write(empty)?;
        Ok(made)
    }

    /// Overwrites it, without a sync of its own: a killed process leaves it to the kernel, and after a power cut it counts
    /// at most too little.
    pub(super) fn write(&mut self, tally: Tally) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&tally.encode())
    }

    /// Makes it durable; once, when its segment is closed.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
