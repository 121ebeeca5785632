//! The write-ahead log beside a database file (floor 1): kept alive, and noticed when it goes.
//!
//! What must stay true: while this lives, one connection that nobody queries keeps the log open, so that SQLite never
//! removes it by itself when pooled connections come and go, and another file at its path means that somebody did.
//! Through that connection evidence is copied, which may take long: asking whose log it is doesn't wait for that.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, ffi};

use super::frames::{HEADER, salts_in};
use super::handle::Handle;
use super::identity::{Identity, identity, log_path};

/// Which log it is that lies in the file: SQLite begins it anew, under other salts, once everything in it is in the
/// database file and synced there. So what was committed while one generation was seen has left the log when another is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogGeneration(Option<[u8; 8]>);

impl LogGeneration {
    /// There is nothing in it: everything is in the database file.
    pub fn is_empty(self) -> bool {
        self.0.is_none()
    }

    /// One of a log with something in it.
    #[cfg(test)]
    pub fn with_salt(salt: u8) -> Self {
        Self(Some([salt; 8]))
    }
}

/// The log of one database.
pub struct WriteAheadLog {
    database: PathBuf,
    path: PathBuf,
    anchor: Mutex<Connection>,
    opened: Mutex<Option<Identity>>,
}

fn anchor(database: &Path, log: &Path) -> rusqlite::Result<(Connection, Option<Identity>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    // The log is opened by the first look at the content.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let found = identity(log).ok();
    Ok((connection, found))
}

impl WriteAheadLog {
    /// Opens the log of the database at this path, which is in WAL mode.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(database: &Path) -> rusqlite::Result<Self> {
        let path = log_path(database);
        let (connection, opened) = anchor(database, &path)?;
        Ok(Self {
            database: database.to_owned(),
            path,
            anchor: Mutex::new(connection),
            opened: Mutex::new(opened),
        })
    }

    /// Whether the log that was opened still lies at its path.
    pub fn is_ours(&self) -> bool {
        match (*self.opened.lock(), identity(&self.path)) {
            (Some(opened), Ok(found)) => opened == found,
            (Some(_), Err(error)) => error.kind() != std::io::ErrorKind::NotFound,
            (None, _) => true,
        }
    }

    /// Which log it is now; `None` when that can't be told: it was deleted, or somebody else looks, which may take long.
    /// Blocking, where the disk hangs, for one caller at a time.
    pub fn generation(&self) -> Option<LogGeneration> {
        let anchor = self.anchor.try_lock()?;
        if !self.is_ours() {
            return None;
        }
        let log = Handle::of(&anchor, ffi::SQLITE_FCNTL_JOURNAL_POINTER)?;
        if log.size().ok()? < HEADER as u64 {
            return Some(LogGeneration(None));
        }
        let mut header = [0; HEADER];
        log.read(&mut header, 0).then(|| LogGeneration(Some(salts_in(&header))))
    }

    /// Opens the log anew, after it was replaced and everybody else let go of the old one. Blocking.
    ///
    /// # Errors
    /// SQLite's.
    pub fn anchor_anew(&self) -> rusqlite::Result<()> {
        let (connection, opened) = anchor(&self.database, &self.path)?;
        *self.anchor.lock() = connection;
        *self.opened.lock() = opened;
        Ok(())
    }

    /// Looks at what the connection has open. Blocking: one at a time.
    pub fn with_anchor<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.anchor.lock())
    }
}
