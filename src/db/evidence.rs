//! Evidence of damage (floor 1): the database file and its write-ahead log, copied as they were found.
//!
//! What must stay true: the files are read through the handles that SQLite itself holds, because opening and closing
//! them would drop its POSIX locks; the `-shm` file, which holds locks too and is made from the log anyway, is left
//! alone; a copy appears under its name only when it is whole; at most [`KEPT`] are kept, and none is made that could
//! fill the disk. Called by the isolation of a damaged file.

mod set_aside;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, ffi};

use super::disk::Space;
use super::handle::Handle;
use super::identity::log_path;
use super::reserve::RESERVE_BYTES;

pub use self::set_aside::SetAside;

/// Newest copies kept of one database.
const KEPT: usize = 3;
/// How the names of copies begin, so that they are in order.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const CHUNK: usize = 1 << 20;
/// What can't be read is narrowed down to pieces of this size.
const SMALLEST: usize = 512;

/// Where evidence of the database at this path is kept.
pub fn folder_beside(database: &Path) -> PathBuf {
    database.parent().unwrap_or(Path::new("")).join("evidence")
}

/// Copies what `anchor` has open into a folder of its own; gives that folder. Blocking; `cancelled` ends it.
///
/// # Errors
/// Not enough room, or the operating system's.
pub fn collect(
    anchor: &Connection,
    database: &Path,
    name: &str,
    (at, found): (Timestamp, &str),
    cancelled: &AtomicBool,
) -> io::Result<PathBuf> {
    // A simulated disk's file handles sleep, and a copy on the real disk would outlast the simulation.
    #[cfg(test)]
    if super::simulation::is_running() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let evidence = folder_beside(database);
    make_private(&evidence)?;
    let files = [
        (ffi::SQLITE_FCNTL_FILE_POINTER, database.to_owned()),
        (ffi::SQLITE_FCNTL_JOURNAL_POINTER, log_path(database)),
    ];
    let open: Vec<_> = files
        .iter()
        .filter_map(|(which, path)| Some((Handle::of(anchor, *which)?, path)))
        .collect();
    let size = open.iter().map(|(handle, _)| handle.size()).sum::<io::Result<u64>>()?;
    let room = Space::of(&evidence).map_or(0, |space| space.free_bytes);
    let needed = 2 * size + RESERVE_BYTES;
    if room < needed {
        let text = format!("{} MiB must be free, {} MiB are", (needed >> 20) + 1, room >> 20);
        return Err(io::Error::new(io::ErrorKind::StorageFull, text));
    }
    let stamp = at.strftime(STAMP);
    let (whole, partial) = (
        evidence.join(format!("{stamp}-{name}")),
        evidence.join(format!("{name}.partial")),
    );
    if whole.exists() {
        return Ok(whole); // Found twice within a second.
    }
    let _ = fs::remove_dir_all(&partial);
    make_private(&partial)?;
    let mut unreadable = 0;
    for (handle, path) in &open {
        let mut to = create(&partial.join(path.file_name().unwrap_or_default()))?;
        unreadable += handle.copy(&mut to, cancelled)?;
        to.sync_all()?;
    }
    let mut text = create(&partial.join("found.txt"))?;
    writeln!(
        text,
        "Database: {name}\nFound: {at}\nWhat: {found}\nBytes that could not be read, zeros in their place: {unreadable}"
    )?;
    text.sync_all()?;
    fs::rename(&partial, &whole)?;
    File::open(&evidence)?.sync_all()?;
    forget_old(&evidence, name);
    Ok(whole)
}

/// Adds what the check said.
///
/// # Errors
/// The operating system's.
pub fn note(folder: &Path, lines: &[String]) -> io::Result<()> {
    let mut text = OpenOptions::new().append(true).open(folder.join("found.txt"))?;
    writeln!(text, "The check of the file says:\n{}", lines.join("\n"))
}

/// Removes all but the newest copies; their names begin with the time.
fn forget_old(evidence: &Path, name: &str) {
    let suffix = format!("-{name}");
    let Ok(entries) = fs::read_dir(evidence) else { return };
    let mut old: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(&suffix)))
        .collect();
    old.sort_unstable();
    let surplus = old.len().saturating_sub(KEPT);
    for path in &old[..surplus] {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(%error, "old evidence can't be removed");
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Handle<'_> {
    /// Copies everything; gives the number of bytes that could not be read.
    fn copy(&self, to: &mut File, cancelled: &AtomicBool) -> io::Result<u64> {
        let size = self.size()?;
        let mut chunk = vec![0; CHUNK];
        let (mut at, mut unreadable) = (0, 0);
        while at < size {
            if cancelled.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = CHUNK.min(usize::try_from(size - at).unwrap_or(CHUNK));
            let part = &mut chunk[..length];
            if !self.read(part, at) {
                unreadable += self.read_in_pieces(part, at);
            }
            to.write_all(part)?;
            at += length as u64;
        }
        Ok(unreadable)
    }

    fn read_in_pieces(&self, part: &mut [u8], at: u64) -> u64 {
        let mut unreadable = 0;
        for (number, piece) in part.chunks_mut(SMALLEST).enumerate() {
            if !self.read(piece, at + (number * SMALLEST) as u64) {
                piece.fill(0);
                unreadable += piece.len() as u64;
            }
        }
        unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("a.db");
        let connection = Connection::open(&path).expect("opens");
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .expect("set");
        connection
            .execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(3000000))")
            .expect("filled");
        (path, connection)
    }

    fn collected(anchor: &Connection, path: &Path, second: i64) -> io::Result<PathBuf> {
        let at = Timestamp::from_second(1_800_000_000 + second).expect("a time");
        collect(anchor, path, "a", (at, "SQLite CORRUPT (11)"), &AtomicBool::new(false))
    }

    #[test]
    fn the_copy_is_byte_for_byte_and_says_what_was_found() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, anchor) = made(folder.path());
        let copy = collected(&anchor, &path, 0).expect("copied");
        for name in ["a.db", "a.db-wal"] {
            // This test's connection holds no lock that matters.
            let (there, copied) = (fs::read(folder.path().join(name)), fs::read(copy.join(name)));
            assert!(there.expect("read") == copied.expect("read"), "{name}");
        }
        note(&copy, &["row 1 missing from index b".to_owned()]).expect("noted");
        let text = fs::read_to_string(copy.join("found.txt")).expect("read");
        assert!(
            text.contains("CORRUPT (11)") && text.contains("row 1 missing"),
            "{text}"
        );
        assert_eq!(
            fs::read_dir(folder_beside(&path)).expect("read").count(),
            1,
            "nothing partial stays"
        );
    }

    #[test]
    fn copying_does_not_drop_the_locks_of_the_process() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, anchor) = made(folder.path());
        let locked = || {
            let locks = fs::read_to_string("/proc/locks").expect("Linux tells");
            let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).expect("there"));
            locks
                .lines()
                .filter(|line| line.contains(&format!(":{inode} ")))
                .count()
        };
        assert!(locked() > 0, "a connection in WAL mode holds a shared lock");
        collected(&anchor, &path, 0).expect("copied");
        assert!(locked() > 0);
        // The counter-proof: this is what must not be done (pitfall: close drops the locks).
        drop(File::open(&path).expect("opens"));
        assert_eq!(locked(), 0);
    }

    #[test]
    fn the_newest_three_are_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, anchor) = made(folder.path());
        let all: Vec<_> = (0..5)
            .map(|second| collected(&anchor, &path, second).expect("copied"))
            .collect();
        let kept: Vec<_> = all.iter().map(|path| path.exists()).collect();
        assert_eq!(kept, [false, false, true, true, true]);
    }

    #[test]
    fn a_cancelled_copy_leaves_nothing_under_its_name() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, anchor) = made(folder.path());
        let cancelled = AtomicBool::new(true);
        collect(&anchor, &path, "a", (Timestamp::UNIX_EPOCH, ""), &cancelled).expect_err("cancelled");
        assert!(!folder_beside(&path).join("19700101T000000Z-a").exists());
    }
}
