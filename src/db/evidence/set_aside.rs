//! A write-ahead log that SQLite is about to cut, copied before that (floor 1).
//!
//! SQLite ends its reading of a log at the first frame whose checksum is wrong, and overwrites or removes the rest without
//! a word. Whether that rest held anything that was acknowledged is known only after the file was opened. What must stay
//! true: a log is looked at and copied while no connection of this process has its database open; a sound one costs one
//! reading, as SQLite's own; a copy stays until it is known that nothing is missing, also when the start fails in between.
//! Called by the preparation of a file (copy) and by the opening (keep or discard).

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{STAMP, create, folder_beside, forget_old, make_private};
use crate::db::disk::Space;
use crate::db::frames::{Cut, cut_of};
use crate::db::identity::log_path;
use crate::db::reserve::RESERVE_BYTES;

/// A larger log, which only a pinned reader makes, would keep the start waiting for too long.
const MOST_BYTES: u64 = 1 << 30;

/// The copy, in a folder that hasn't its name yet.
#[derive(Debug)]
pub struct SetAside {
    folder: PathBuf,
}

impl SetAside {
    /// Looks at the log of the database at this path, which nobody in this process has open; copies it when SQLite will
    /// drop some of it. What an earlier start copied and couldn't settle is found again.
    pub fn before_first_open(database: &Path) -> Option<Self> {
        let mut name = database.file_name()?.to_owned();
        name.push(".unsettled");
        let aside = Self {
            folder: folder_beside(database).join(name),
        };
        let log = log_path(database);
        match look(&log) {
            Ok(None) => {}
            Ok(Some((cut, size))) => match aside.copy(&log, cut, size) {
                Ok(()) => return Some(aside),
                Err(error) => {
                    tracing::warn!(log = %log.display(), %error, "the write-ahead log is cut at its start or in its middle, and can't be copied before SQLite drops the rest");
                }
            },
            Err(error) => tracing::warn!(log = %log.display(), %error, "the write-ahead log can't be looked at"),
        }
        aside.folder.exists().then_some(aside)
    }

    fn copy(&self, log: &Path, cut: Cut, size: u64) -> io::Result<()> {
        let evidence = self.folder.parent().unwrap_or(Path::new(""));
        make_private(evidence)?;
        let room = Space::of(evidence).map_or(0, |space| space.free_bytes);
        let needed = size + RESERVE_BYTES;
        if room < needed {
            let text = format!("{} MiB must be free, {} MiB are", (needed >> 20) + 1, room >> 20);
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        let partial = self.folder.with_extension("partial");
        for left_over in [&partial, &self.folder] {
            match fs::remove_dir_all(left_over) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let made = fill(&partial, log, cut).and_then(|()| fs::rename(&partial, &self.folder));
        if made.is_err() {
            // Half a copy is no evidence, and the disk may be full because of it.
            let _ = fs::remove_dir_all(&partial);
        }
        made?;
        File::open(evidence)?.sync_all()
    }

    /// Nothing is missing: a write that was never acknowledged had been under way.
    pub fn discard(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "the copy of a write-ahead log can't be removed");
        }
    }

    /// The name of the folder that is kept.
    pub fn name_of(name: &str, at: Timestamp) -> String {
        format!("{}-{name}", at.strftime(STAMP))
    }

    /// Makes it evidence of what is missing; gives the folder's name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn keep(self, name: &str, at: Timestamp, missing: &str) -> io::Result<String> {
        let mut text = File::options().append(true).open(self.folder.join("found.txt"))?;
        writeln!(text, "Database: {name}\nFound: {at}\nWhat: {missing}")?;
        text.sync_all()?;
        let evidence = self.folder.parent().unwrap_or(Path::new(""));
        let kept = Self::name_of(name, at);
        fs::rename(&self.folder, evidence.join(&kept))?;
        File::open(evidence)?.sync_all()?;
        forget_old(evidence, name);
        Ok(kept)
    }
}

/// A folder with the log as it is and what is known of it.
fn fill(folder: &Path, log: &Path, cut: Cut) -> io::Result<()> {
    make_private(folder)?;
    let mut to = create(&folder.join(log.file_name().unwrap_or_default()))?;
    io::copy(&mut File::open(log)?, &mut to)?;
    to.sync_all()?;
    let mut text = create(&folder.join("found.txt"))?;
    writeln!(text, "{}", in_words(cut))?;
    text.sync_all()
}

/// Where SQLite will cut the log, with the log's size.
fn look(log: &Path) -> io::Result<Option<(Cut, u64)>> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    if size > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 GiB"));
    }
    Ok(cut_of(BufReader::with_capacity(1 << 20, file))?.map(|cut| (cut, size)))
}

fn in_words(cut: Cut) -> String {
    match cut.whole {
        None => "The header of the write-ahead log is damaged: SQLite drops all of it.".to_owned(),
        Some(whole) => format!(
            "SQLite reads {whole} frames of the write-ahead log. Frame {whole} (counted from 0) is damaged or was never finished; with it {} frames are dropped, {} of which end a commit.",
            cut.dropped, cut.dropped_commits
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with a log that nobody has open, as a killed process leaves it.
    fn killed(folder: &Path) -> PathBuf {
        let (made, left) = (folder.join("made.db"), folder.join("a.db"));
        let file = rusqlite::Connection::open(&made).expect("opens");
        file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .expect("set");
        file.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(40000))")
            .expect("filled");
        for end in ["", "-wal"] {
            fs::copy(folder.join(format!("made.db{end}")), folder.join(format!("a.db{end}"))).expect("copied");
        }
        left
    }

    fn flip(log: &Path, at: usize) {
        let mut bytes = fs::read(log).expect("read");
        bytes[at] ^= 1;
        fs::write(log, bytes).expect("written");
    }

    #[test]
    fn a_sound_log_is_left_alone_and_a_rotten_one_copied_and_kept_or_not() {
        let folder = tempfile::tempdir().expect("folder");
        let database = killed(folder.path());
        let evidence = folder.path().join("evidence");
        assert!(SetAside::before_first_open(&database).is_none());
        assert!(!evidence.exists(), "a sound log costs no file");
        flip(&log_path(&database), 5000);
        let as_found = fs::read(log_path(&database)).expect("read");
        SetAside::before_first_open(&database).expect("copied").discard();
        assert_eq!(fs::read_dir(&evidence).expect("read").count(), 0);
        drop(SetAside::before_first_open(&database).expect("copied"));
        // The start failed, and the log is cut by now.
        fs::write(log_path(&database), "").expect("cut");
        let at = Timestamp::from_second(1_800_000_000).expect("a time");
        let again = SetAside::before_first_open(&database).expect("found again");
        let kept = evidence.join(again.keep("a", at, "commit 3 is missing").expect("kept"));
        assert!(fs::read(kept.join("a.db-wal")).expect("there") == as_found);
        let text = fs::read_to_string(kept.join("found.txt")).expect("there");
        assert!(text.contains("reads 1 frames") && text.contains("commit 3"), "{text}");
        assert!(SetAside::before_first_open(&database).is_none());
    }
}
