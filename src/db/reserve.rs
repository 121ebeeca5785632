//! Room held back for a bad day (floor 1): a preallocated file beside the database, given up when the disk is full.
//!
//! With nothing left at all SQLite can't even bring its write-ahead log into the database file, and the spool can't
//! take the events that tell of it. What must stay true: the file holds real blocks (`fallocate`, never a hole); it is
//! made only where ample room is left beside it; neither making nor removing it touches the database file.
//! Called by [`super::room::Room`] only.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, fallocate};

use super::disk::Space;

/// Bytes held back for each database file.
pub const RESERVE_BYTES: u64 = 8 << 20;
/// So much must be free before it is made, so that the reserve itself never fills a disk, and so that a disk that was
/// full is not taken for well again because of the very room that the reserve gave up.
const AMPLE_BYTES: u64 = 2 * RESERVE_BYTES;

/// The reserve, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveStatus {
    /// Bytes held back now; 0 when there is no reserve.
    pub bytes: u64,
    /// Why there is none.
    pub missing: Option<String>,
}

/// The reserve of one database file.
pub struct Reserve {
    path: PathBuf,
    missing: Mutex<Option<String>>,
}

impl Reserve {
    /// Beside the database at this path; not made yet.
    pub fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-reserve");
        Self {
            path: path.into(),
            missing: Mutex::new(Some("not made yet".to_owned())),
        }
    }

    /// Makes it, if it isn't there; whether it is there now. Blocking.
    pub fn make(&self) -> bool {
        let mut missing = self.missing.lock();
        if missing.is_some() {
            *missing = self.allocate().err();
        }
        missing.is_none()
    }

    fn allocate(&self) -> Result<(), String> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let space = Space::of(folder.unwrap_or(Path::new("."))).ok_or("the free space is not known")?;
        // A file that an earlier process left counts: its blocks are not among the free ones.
        let left_over = std::fs::metadata(&self.path).map_or(0, |meta| meta.len().min(RESERVE_BYTES));
        if space.free_bytes.saturating_add(left_over) < AMPLE_BYTES {
            let (needed, free) = (AMPLE_BYTES >> 20, space.free_bytes >> 20);
            return Err(format!(
                "{needed} MiB must be free to hold back a reserve, and {free} MiB are"
            ));
        }
        #[cfg(test)]
        if super::simulation::hold_back(&self.path, RESERVE_BYTES) {
            return Ok(());
        }
        self.open()
            .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)?))
            .map_err(|error| {
                // Half a reserve would only take room.
                let _ = std::fs::remove_file(&self.path);
                format!("the reserve can't be made: {error}")
            })
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    /// Gives the room back to the disk. Blocking, but short.
    pub fn release(&self) {
        let mut missing = self.missing.lock();
        #[cfg(test)]
        super::simulation::hold_back(&self.path, 0);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, "the disk is full and the reserve can't be removed");
            }
            _ => *missing = Some("released: the disk is full".to_owned()),
        }
    }

    /// Whether it is there, and otherwise why not.
    pub fn status(&self) -> ReserveStatus {
        let missing = self.missing.lock().clone();
        ReserveStatus {
            bytes: if missing.is_none() { RESERVE_BYTES } else { 0 },
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_real_blocks_until_it_is_released_and_can_be_made_again() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("folder");
        let reserve = Reserve::beside(&folder.path().join("a.db"));
        assert_eq!(reserve.status().bytes, 0);
        for _ in 0..2 {
            assert!(reserve.make(), "{:?}", reserve.status());
            let meta = std::fs::metadata(folder.path().join("a.db-reserve")).expect("there");
            assert!(meta.blocks() * 512 >= RESERVE_BYTES, "a hole holds nothing");
            assert_eq!(reserve.status().bytes, RESERVE_BYTES);
            reserve.release();
            assert!(!folder.path().join("a.db-reserve").exists());
            assert_eq!(reserve.status().bytes, 0);
        }
    }

    #[test]
    fn where_it_cannot_be_made_it_says_why() {
        let reserve = Reserve::beside(Path::new("/proc/no/such/a.db"));
        assert!(!reserve.make());
        assert!(reserve.status().missing.is_some_and(|why| why.contains("not known")));
    }
}
