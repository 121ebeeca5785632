//! Which file the path names (floor 1): device and inode, and whether the file is ours to open.
//!
//! What must stay true: the database file is looked at with `stat` only while SQLite has it open, because opening
//! and closing it a second time would drop SQLite's POSIX locks; its header is read before SQLite ever opens it.
//! Called at the start, by every connect and probe, and before a commit is acknowledged.

use std::io::Read;
use std::path::{Path, PathBuf};

/// What tells one file from another at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// The path of the write-ahead log that SQLite keeps beside the database at this path.
pub fn log_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// The identity of the file that the path names now.
///
/// # Errors
/// The operating system's: not found, not allowed.
pub fn identity(path: &Path) -> std::io::Result<Identity> {
    #[cfg(test)]
    if let Some(found) = super::simulation::inode(path) {
        return found.map(|inode| Identity { device: 0, inode });
    }
    let meta = std::fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(Identity {
            device: meta.dev(),
            inode: meta.ino(),
        })
    }
    #[cfg(not(unix))]
    {
        // Without inodes the creation time is the best that tells a replaced file.
        let created = meta
            .created()?
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as u64);
        Ok(Identity {
            device: 0,
            inode: created,
        })
    }
}

/// What happened, and what to do, where the path no longer names the file that was `opened`; `None` also where it can't be
/// looked at, which says nothing about which file it is.
pub fn moved(found: std::io::Result<Identity>, opened: Identity) -> Option<String> {
    let what = match found {
        Ok(found) if found == opened => return None,
        Ok(_) => "replaced by another one",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "deleted",
        Err(_) => return None,
    };
    Some(format!(
        "the database file was {what}; put it back, or stop, remove its -wal and -shm, and start"
    ))
}

/// What lies at the path before SQLite opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or an empty file.
    Nothing,
    /// A file with SQLite's header, and what the header says; a write-ahead log may say something newer.
    Sqlite {
        /// `application_id`; 0 when never set.
        application_id: i32,
        /// `user_version`.
        user_version: i32,
    },
    /// Something else.
    Foreign,
}

/// Looks at the header. Only before SQLite has the file open in this process.
///
/// # Errors
/// The operating system's, other than "not found".
pub fn look(path: &Path) -> std::io::Result<Found> {
    #[cfg(test)]
    if let Some(content) = super::simulation::content(path) {
        return if content.is_empty() {
            Ok(Found::Nothing)
        } else {
            header_in(&*content)
        };
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(Found::Nothing);
    }
    header_in(file)
}

fn header_in(mut file: impl Read) -> std::io::Result<Found> {
    let mut header = [0_u8; 100];
    match file.read_exact(&mut header) {
        // The offsets are those of the database header in SQLite's file format.
        Ok(()) if header.starts_with(b"SQLite format 3\0") => Ok(Found::Sqlite {
            application_id: number_at(&header, 68),
            user_version: number_at(&header, 60),
        }),
        Ok(()) => Ok(Found::Foreign),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Found::Foreign),
        Err(error) => Err(error),
    }
}

fn number_at(header: &[u8; 100], offset: usize) -> i32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[offset..offset + 4]);
    i32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_another_identity() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        std::fs::write(&path, "one").expect("written");
        let first = identity(&path).expect("there");
        let other = folder.path().join("b.db");
        std::fs::write(&other, "two").expect("written");
        std::fs::rename(&other, &path).expect("replaced");
        assert_ne!(identity(&path).expect("there"), first);
        std::fs::remove_file(&path).expect("removed");
        assert!(identity(&path).is_err());
    }

    #[test]
    fn a_header_tells_a_database_from_garbage() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        assert_eq!(look(&path).expect("looked"), Found::Nothing);
        std::fs::write(&path, "").expect("written");
        assert_eq!(look(&path).expect("looked"), Found::Nothing);
        std::fs::write(&path, "short").expect("written");
        assert_eq!(look(&path).expect("looked"), Found::Foreign);
        std::fs::write(&path, [7_u8; 4096]).expect("written");
        assert_eq!(look(&path).expect("looked"), Found::Foreign);
        let made = folder.path().join("c.db");
        rusqlite::Connection::open(&made)
            .expect("opens")
            .execute_batch("PRAGMA application_id = 77; PRAGMA user_version = 5; CREATE TABLE t(a)")
            .expect("made");
        let found = Found::Sqlite {
            application_id: 77,
            user_version: 5,
        };
        assert_eq!(look(&made).expect("looked"), found);
    }
}
