//! Everything in the log onto the disk, anew (floor 1): what must have happened before an isolated file is let back.
//!
//! After a failed fsync Linux marks the pages clean that it could not write: reads see them, the next fsync says that all
//! is well, and they are gone at a loss of power. What must stay true: each committed frame is checked against its
//! checksum, written again and synced before a checkpoint writes the database file, so that a loss of power meanwhile
//! finds a whole log; only a log that could be emptied counts. Called by the isolation of a file and by the watch.
//!
//! What of the log is in the database file already was synced there: SQLite marks frames as done only after that.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use crate::clock;
use crate::db::frames::{FRAME_HEADER, HEADER, Sums};
use crate::db::handle::Handle;
use crate::db::verify::SHORTEST_CHECK;

/// Writes the log anew and brings it into the database file. Blocking; ends at `until`, save for the checkpoint. Leaves
/// the connection with a busy timeout of its own: it must not be used again.
///
/// # Errors
/// What could not be done, for people. Then nothing is known to be on the disk.
pub fn bring_to_disk(writer: &Connection, until: Instant) -> Result<(), String> {
    // A number behind the checkpoint's own two: this kind does nothing but look.
    let frames: i64 = writer
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
        .map_err(|error| error.to_string())?;
    // The write lock keeps the log from being begun anew meanwhile.
    writer
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(|error| error.to_string())?;
    let written = write_anew(writer, usize::try_from(frames).unwrap_or(0), until);
    let ended = writer.execute_batch("ROLLBACK").map_err(|error| error.to_string());
    written?;
    ended?;
    empty_log(writer, SHORTEST_CHECK).map_err(|error| error.to_string())
}

/// Brings everything in the write-ahead log into the database file, syncs that, and empties the log.
///
/// # Errors
/// SQLite's; BUSY when a reader is in the way.
pub fn empty_log(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let text = Some("a reader kept the checkpoint from its end".to_owned());
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), text))
}

fn write_anew(writer: &Connection, frames: usize, until: Instant) -> Result<(), String> {
    if frames == 0 {
        return Ok(());
    }
    let log = Handle::of(writer, ffi::SQLITE_FCNTL_JOURNAL_POINTER).ok_or("the log is not open")?;
    let failed = |what: &str, at: u64| format!("the log can't be {what} at byte {at}");
    let mut header = [0; HEADER];
    if !log.read(&mut header, 0) {
        return Err(failed("read", 0));
    }
    let (mut sums, page_size) = Sums::of(&header).ok_or("the log no longer holds what was written to it")?;
    if !log.write(&header, 0) {
        return Err(failed("written", 0));
    }
    let mut frame = vec![0; FRAME_HEADER + page_size];
    for number in 0..frames {
        let at = (HEADER + number * frame.len()) as u64;
        if clock::now() >= until {
            return Err("there was no time to write the log anew".to_owned());
        }
        if !log.read(&mut frame, at) {
            return Err(failed("read", at));
        }
        if !sums.admit(&frame) {
            return Err(format!(
                "frame {number} of the log no longer holds what was written to it"
            ));
        }
        if !log.write(&frame, at) {
            return Err(failed("written", at));
        }
    }
    if log.sync() {
        Ok(())
    } else {
        Err("the log can't be synced".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    use super::*;

    fn made(folder: &std::path::Path) -> (Connection, std::path::PathBuf) {
        let path = folder.join("a.db");
        let file = Connection::open(&path).expect("opens");
        file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .expect("set");
        file.execute_batch("CREATE TABLE t(a, b)").expect("made");
        for number in 0..20 {
            file.execute("INSERT INTO t VALUES (?1, randomblob(3000))", [number])
                .expect("kept");
        }
        (file, folder.join("a.db-wal"))
    }

    fn soon() -> Instant {
        clock::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_whole_log_ends_in_the_database_file() {
        let folder = tempfile::tempdir().expect("folder");
        let (file, log) = made(folder.path());
        assert!(std::fs::metadata(&log).expect("there").len() > 60_000);
        bring_to_disk(&file, soon()).expect("done");
        assert_eq!(std::fs::metadata(&log).expect("there").len(), 0);
        bring_to_disk(&file, soon()).expect("nothing is left to do");
        let rows: i64 = file
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .expect("read");
        assert_eq!(rows, 20);
    }

    #[test]
    fn a_log_that_lost_a_frame_is_found_out_and_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let (file, log) = made(folder.path());
        let length = std::fs::metadata(&log).expect("there").len();
        // What a page that was never written looks like once it is read from the disk again. Closing this handle drops
        // the locks of a connection that nobody else competes with.
        let spoiled = std::fs::OpenOptions::new().write(true).open(&log).expect("opens");
        spoiled.write_all_at(&[0; 512], length - 1024).expect("spoiled");
        let why = bring_to_disk(&file, soon()).expect_err("it is not what was written");
        assert!(why.contains("no longer holds"), "{why}");
        assert_eq!(std::fs::metadata(&log).expect("there").len(), length);
    }

    #[test]
    fn a_reader_in_the_way_is_no_success() {
        let folder = tempfile::tempdir().expect("folder");
        let (file, _) = made(folder.path());
        let reader = Connection::open(folder.path().join("a.db")).expect("opens");
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").expect("reads");
        file.execute("DELETE FROM t", []).expect("kept");
        bring_to_disk(&file, soon()).expect_err("the log is still there");
        reader.execute_batch("COMMIT").expect("ends");
        bring_to_disk(&file, soon()).expect("done");
    }
}
