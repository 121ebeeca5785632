//! How every connection is set up (floor 1), and the look at a page that can fail.
//!
//! What must stay true: what is acknowledged is synced (`synchronous = FULL`); readers can't write; memory that is mapped
//! is never used, because an I/O error on it is a signal and not a code. Called by the manager, the migrations, the probe.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads only (`query_only`).
    Reader,
    /// The single writing connection.
    Writer,
}

const CACHED_STATEMENTS: usize = 128;
/// The write-ahead log shall not stay larger than this.
pub const WAL_SIZE_LIMIT_BYTES: i64 = 64 << 20;
/// Pages in the write-ahead log (64 MiB) from which on a commit itself makes a checkpoint. Only the backstop: the
/// keeper of the log (`checkpoint`) is there four times as early, and a commit shouldn't pay for one.
const BACKSTOP_PAGES: i32 = 16_000;

/// Sets what every connection of a role has.
///
/// # Errors
/// SQLite's.
pub fn configure(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise a statement whose plan may look at a parameter, as at that of every `LIMIT ?`, is prepared anew for each
    // value: a page of 10 rows takes twice as long. So the plan that is explained is the one that runs, too.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" && role == Role::Writer {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = 1; PRAGMA cell_size_check = 1;
         PRAGMA trusted_schema = 0; PRAGMA temp_store = MEMORY;",
    )?;
    // An I/O error on mapped memory would be a signal, not a code.
    connection
        .query_row("PRAGMA mmap_size = 0", [], |_| Ok(()))
        .or_else(none_is_fine)?;
    connection.query_row(
        &format!("PRAGMA journal_size_limit = {WAL_SIZE_LIMIT_BYTES}"),
        [],
        |_| Ok(()),
    )?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {BACKSTOP_PAGES}"), [], |_| Ok(()))?;
    match role {
        Role::Reader => connection.execute_batch("PRAGMA query_only = 1"),
        // What is deleted is overwritten with zeros in the pages that are written anyway; it costs no I/O.
        Role::Writer => connection.query_row("PRAGMA secure_delete = FAST", [], |_| Ok(())),
    }
}

/// Bounds the page cache of a connection.
///
/// # Errors
/// SQLite's.
pub fn limit_cache(connection: &Connection, kib: u32) -> rusqlite::Result<()> {
    // Negative means KiB, positive would mean pages.
    connection.execute_batch(&format!("PRAGMA cache_size = -{kib}"))
}

fn none_is_fine(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    }
}

/// Reads a page of the file itself: the cache is dropped first, so that the answer can't come from memory.
///
/// # Errors
/// SQLite's: this is the check that can fail.
pub fn read_real_page(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA shrink_memory")?;
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map(drop)
}
