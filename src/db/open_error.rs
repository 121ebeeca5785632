//! Why a database can't be opened (floor 1): sentences for the person who started the service.

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A limit of [`crate::db::Options`] with which nothing could work.
    #[error("the database's setting {field} is {value}; it must be {allowed}")]
    Setting {
        /// The field of the settings.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        allowed: String,
    },
    /// Not an SQLite database.
    #[error(
        "{path} is not an SQLite database; it was left untouched. Move it away, or point MAINSTAY_DATA_DIR elsewhere"
    )]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// The file is gone, and what lies beside it says that it held something.
    #[error(
        "{path} is missing or empty, but {traces}; nothing was created. Put the file back, or a copy of it. To begin anew without what it held: remove {path}-sequence, {path}-wal, {path}-shm and {path}-breakers.json, where they are there"
    )]
    Gone {
        /// The file.
        path: String,
        /// What says so.
        traces: String,
    },
    /// SQLite can't make the files it needs, because the disk is full.
    #[error(
        "{path}: the disk is full: {free_kib} KiB are free, and to start {needed_kib} KiB are needed there and a file or two; free some room ({source})"
    )]
    DiskFull {
        /// The file.
        path: String,
        /// Free there, in KiB.
        free_kib: u64,
        /// Enough to start, in KiB.
        needed_kib: u64,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A database of another program.
    #[error(
        "{path} belongs to another program (application_id {found:#x}, expected {expected:#x}); it was left untouched"
    )]
    Foreign {
        /// The file.
        path: String,
        /// Its application_id.
        found: i32,
        /// Ours.
        expected: i32,
    },
    /// Made by a newer version.
    #[error(
        "{path} has schema version {found}, this program knows up to {known}: it was made by a newer version; it was left untouched"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The SQLite library is too old.
    #[error(
        "SQLite {found} is too old: 3.51.3 or newer is needed (older ones can corrupt a WAL that is written and checkpointed at once)"
    )]
    LibraryTooOld {
        /// Its version.
        found: &'static str,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("{path}: {what}: {source}")]
    Sqlite {
        /// The file.
        path: String,
        /// While doing what.
        what: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// The reader pool couldn't be made.
    #[error("{path}: no connection within DB_CONNECT_TIMEOUT: {detail}")]
    Pool {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
}
