//! Room held back for a bad day (floor 1): a preallocated file beside the database, given up when the disk is full.
//!
//! With nothing left at all SQLite can't even bring its write-ahead log into the database file, and the spool can't
//! take the events that tell of it. What must stay true: the file holds real blocks (`fallocate`, never a hole); it is
//! made only where ample room is left beside it; neither making nor removing it touches the database file.
//! Called by [`super::room::Room`], and by the start on a disk that is full.

use std::collections::BTreeMap;
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

/// Reserves of this process that were given up and not made again, by the disk they lay on: with two databases on one
/// disk, what the other gave up is no sign of room either.
static RELEASED: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

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
    /// The disk that it was given up on.
    released_on: Mutex<Option<u64>>,
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.note_released(None);
    }
}

/// What tells one disk from another; `None` where the system doesn't say, as for a folder that isn't there.
fn disk_of(folder: &Path) -> Option<u64> {
    #[cfg(test)]
    if super::simulation::is_running() {
        return None; // Simulations run side by side, each with a disk of its own.
    }
    let found = std::fs::metadata(folder).ok()?;
    #[cfg(unix)]
    return Some(std::os::unix::fs::MetadataExt::dev(&found));
    #[cfg(not(unix))]
    found.is_dir().then_some(0)
}

impl Reserve {
    /// Beside the database at this path; not made yet.
    pub fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-reserve");
        Self {
            path: path.into(),
            missing: Mutex::new(Some("not made yet".to_owned())),
            released_on: Mutex::default(),
        }
    }

    fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// Notes that it is given up on this disk, or that it no longer is.
    fn note_released(&self, now: Option<u64>) {
        let mut released = RELEASED.lock();
        let before = std::mem::replace(&mut *self.released_on.lock(), now);
        if let Some(count) = before.and_then(|disk| released.get_mut(&disk)) {
            *count -= 1;
        }
        if let Some(disk) = now {
            *released.entry(disk).or_default() += 1;
        }
    }

    /// Bytes that must be free before it is made: what the others gave up on this disk besides.
    fn needed_bytes(&self) -> u64 {
        let disk = disk_of(self.folder());
        let released = RELEASED.lock();
        let on_disk = disk.and_then(|disk| released.get(&disk).copied());
        let own = u64::from(self.released_on.lock().is_some());
        AMPLE_BYTES + on_disk.unwrap_or(0).saturating_sub(own) * RESERVE_BYTES
    }

    /// Whether an earlier process left one.
    pub fn is_left(&self) -> bool {
        self.path.exists()
    }

    /// Makes it, if it isn't there; whether it is there now. Blocking.
    pub fn make(&self) -> bool {
        let mut missing = self.missing.lock();
        if missing.is_some() {
            *missing = self.allocate().err();
            if missing.is_none() {
                self.note_released(None);
            }
        }
        missing.is_none()
    }

    fn allocate(&self) -> Result<(), String> {
        let space = Space::of(self.folder()).ok_or("the free space is not known")?;
        // A file that an earlier process left counts: its blocks are not among the free ones.
        let left_over = std::fs::metadata(&self.path).map_or(0, |meta| meta.len().min(RESERVE_BYTES));
        let needed = self.needed_bytes();
        if space.free_bytes.saturating_add(left_over) < needed {
            let (needed, free) = (needed >> 20, space.free_bytes >> 20);
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
            gone => {
                *missing = Some("released: the disk is full".to_owned());
                if gone.is_ok() {
                    self.note_released(disk_of(self.folder()));
                }
            }
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
    fn what_another_database_gave_up_on_the_same_disk_must_be_there_besides() {
        let folder = tempfile::tempdir().expect("folder");
        let [one, other] = ["a.db", "b.db"].map(|name| Reserve::beside(&folder.path().join(name)));
        assert!(one.make() && other.make());
        let disk = disk_of(folder.path()).expect("there");
        one.release();
        other.release();
        assert_eq!(*one.released_on.lock(), Some(disk));
        for reserve in [&one, &other] {
            // Other tests give up reserves of theirs on this disk at the same time.
            assert!(reserve.needed_bytes() >= AMPLE_BYTES + RESERVE_BYTES);
        }
        assert!(one.make(), "there is room for both");
        assert_eq!(*one.released_on.lock(), None);
    }

    #[test]
    fn where_it_cannot_be_made_it_says_why() {
        let reserve = Reserve::beside(Path::new("/proc/no/such/a.db"));
        assert!(!reserve.make());
        assert!(reserve.status().missing.is_some_and(|why| why.contains("not known")));
    }
}
