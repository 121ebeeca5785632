//! The last acknowledged commit, kept outside SQLite (floor 1): a tiny file beside the database.
//!
//! SQLite forgets what follows the first damaged frame of its write-ahead log, in silence, and `integrity_check` finds
//! nothing wrong with the older state that is left; a copy put back is sound as well. So each commit raises a number
//! inside its own transaction, and the number stands here before any caller is answered.
//! What must stay true: a number is in the file before its commit is acknowledged (written, so that it outlives this
//! process; synced at most once a second, so that it mostly outlives the machine); two slots take turns, so that a torn
//! write never destroys the number before it; a file that can't be written keeps nobody from their data.
//! Called while opening and by the writer's thread.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::gap::{GAP_BYTES, Gap};
use super::internal::DatabaseId;
#[cfg(test)]
use super::simulation;
use crate::clock;

const MAGIC: &[u8; 8] = b"MSTSEQ1\n";
const SLOT_BYTES: usize = 36;
/// The slots lie in different pages, which are torn apart from each other if at all.
const SLOT_OFFSETS: [usize; 2] = [0, 4096];
/// Behind them, in a page of its own: what a start found missing.
const GAP_OFFSET: usize = 8192;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What the file beside the database knew that the database doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCommits {
    /// The database is older than what was acknowledged.
    Behind {
        /// The last commit that was acknowledged.
        expected: u64,
        /// The last commit that the database has.
        found: u64,
    },
    /// The file was written for another database.
    OtherDatabase {
        /// The last commit that was acknowledged there.
        expected: u64,
    },
    /// The file is there, and nothing in it can be read.
    RecordUnreadable,
}

impl fmt::Display for MissingCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { expected, found } => write!(
                f,
                "acknowledged commits {} to {expected} are missing: its write-ahead log is damaged or gone, or an older copy was put back",
                found + 1
            ),
            Self::OtherDatabase { expected } => write!(
                f,
                "it is not the database that acknowledged commits up to {expected} here: another one was put in its place"
            ),
            Self::RecordUnreadable => f.write_str(
                "the record of acknowledged commits beside it was unreadable: whether any are missing can't be told; loss detection begins anew",
            ),
        }
    }
}

/// The path of the file beside the database at this path.
pub fn sequence_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-sequence");
    path.into()
}

/// The last commit that was acknowledged at this path, whichever database stood there; `None` when none is on record.
pub fn acknowledged(database: &Path) -> Option<u64> {
    let slots = slots_in(&content(&sequence_path(database)));
    slots.iter().flatten().map(|slot| slot.sequence).max()
}

/// The file, and the number of the last commit.
pub struct Sequence {
    path: PathBuf,
    database: DatabaseId,
    last: u64,
    slot: usize,
    file: Option<File>,
    synced_at: Option<Instant>,
    is_failing: bool,
}

impl Sequence {
    /// For the database with this id, whose last commit is `found`; tells what is missing there. Numbering goes on above
    /// everything that was ever acknowledged, so that no number means two commits.
    pub fn open(database_path: &Path, database: DatabaseId, found: u64) -> (Self, Option<MissingCommits>) {
        let path = sequence_path(database_path);
        let slots = slots_in(&content(&path));
        let own = slots.iter().flatten().filter(|slot| slot.database == database);
        let expected = own.map(|slot| slot.sequence).max();
        let foreign = slots.iter().flatten().map(|slot| slot.sequence).max();
        let missing = match (expected, foreign) {
            (Some(expected), _) if expected > found => Some(MissingCommits::Behind { expected, found }),
            (None, Some(expected)) => Some(MissingCommits::OtherDatabase { expected }),
            // One slot is torn at most, so that a file with none was spoilt by something else.
            (None, None) if path.exists() => Some(MissingCommits::RecordUnreadable),
            _ => None,
        };
        // The next write goes over the slot that is worth less.
        let worth = |slot: &Option<Slot>| {
            slot.as_ref()
                .map_or(0, |s| u64::from(s.database == database) * (s.sequence + 1))
        };
        let sequence = Self {
            slot: usize::from(worth(&slots[1]) < worth(&slots[0])),
            last: expected.unwrap_or(0).max(found),
            path,
            database,
            file: None,
            synced_at: None,
            is_failing: false,
        };
        (sequence, missing)
    }

    /// The number for the next attempt at a commit; each is given out once.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Writes that this commit is about to be acknowledged. A failure is logged when it begins and when it ends.
    pub fn acknowledge(&mut self, sequence: u64) {
        let written = self.write(sequence);
        if let Err(error) = &written
            && !self.is_failing
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the commit sequence can't be kept beside the database; a lost commit would go unnoticed");
        }
        if written.is_ok() && self.is_failing {
            tracing::info!(path = %self.path.display(), "the commit sequence is kept again");
        }
        self.is_failing = written.is_err();
    }

    /// What an earlier start found missing, however long ago; `name` is in its evidence's name.
    pub fn remembered(&self, name: &str) -> Option<Gap> {
        let content = content(&self.path);
        Gap::decoded(content.get(GAP_OFFSET..)?, self.database, name)
    }

    /// Keeps what this start found missing, durably. A failure is logged: the next start won't know of it.
    pub fn remember(&mut self, gap: &Gap) {
        let kept = self.put(GAP_OFFSET, &gap.encoded(self.database));
        if let Err(error) = kept {
            tracing::warn!(path = %self.path.display(), %error, "the missing commits can't be kept on record for the next start");
        }
        self.sync();
    }

    fn write(&mut self, sequence: u64) -> std::io::Result<()> {
        self.put(SLOT_OFFSETS[self.slot], &self.slot_of(sequence).encoded())?;
        self.slot = 1 - self.slot;
        Ok(())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> std::io::Result<()> {
        #[cfg(test)]
        if let Some(written) = simulation::write(&self.path, at, bytes) {
            self.synced_at.get_or_insert_with(clock::now);
            return written;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&self.path)?,
        };
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(bytes)?;
        self.synced_at.get_or_insert_with(clock::now);
        self.file = Some(file);
        Ok(())
    }

    fn slot_of(&self, sequence: u64) -> Slot {
        Slot {
            database: self.database,
            sequence,
        }
    }

    /// Whether a number waits to be synced.
    pub fn is_unsynced(&self) -> bool {
        self.synced_at.is_some()
    }

    /// Syncs when that is due: called between batches, when everybody has their answer.
    pub fn sync_if_due(&mut self) {
        if self
            .synced_at
            .is_some_and(|since| clock::now().saturating_duration_since(since) >= SYNC_EVERY)
        {
            self.sync();
        }
    }

    /// Syncs what was written.
    pub fn sync(&mut self) {
        #[cfg(test)]
        simulation::sync(&self.path);
        if self.synced_at.take().is_some()
            && let Some(file) = &self.file
            && file.sync_data().is_err()
        {
            // The number is kept while the machine runs; the next write opens the file anew.
            self.file = None;
        }
    }
}

struct Slot {
    database: DatabaseId,
    sequence: u64,
}

impl Slot {
    fn encoded(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.database);
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decoded(bytes: &[u8]) -> Option<Self> {
        let (content, sum) = bytes.split_at_checked(32)?;
        if !content.starts_with(MAGIC) || crc32fast::hash(content).to_le_bytes() != sum {
            return None;
        }
        Some(Self {
            database: content[8..24].try_into().ok()?,
            sequence: u64::from_le_bytes(content[24..32].try_into().ok()?),
        })
    }
}

/// What the file holds; nothing where it can't be read, as in a file that was never there.
fn content(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    #[cfg(test)]
    content.extend(simulation::content(path).into_iter().flatten());
    if let Ok(file) = File::open(path) {
        // What was read before an error counts: the records stand for themselves.
        let _ = file.take((GAP_OFFSET + GAP_BYTES) as u64).read_to_end(&mut content);
    }
    content
}

fn slots_in(content: &[u8]) -> [Option<Slot>; 2] {
    SLOT_OFFSETS.map(|offset| content.get(offset..offset + SLOT_BYTES).and_then(Slot::decoded))
}

#[cfg(test)]
mod tests;
