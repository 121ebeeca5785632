//! The layer's own tables inside a database file (floor 1): which database it is, its last commit, and what was
//! answered under an idempotency key.
//!
//! What must stay true: they exist before anything is read or written through the layer, and making them leaves
//! `user_version` to the program's migrations; a file that has them is opened without a write lock; their names begin
//! with `mainstay_`, which no schema above may use. Called while opening, and by the writer.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// What tells one database from another, in the file and beside it: random, made with the tables.
pub type DatabaseId = [u8; 16];

/// Their schema. `ends_at` counts the bytes of all answers ever kept, so that the bytes held between two rows are a
/// difference and nobody has to keep a sum.
const SCHEMA: &str = "
    CREATE TABLE mainstay_commits (
      one INTEGER PRIMARY KEY CHECK (one = 1), database BLOB NOT NULL, sequence INTEGER NOT NULL) STRICT;
    CREATE TABLE mainstay_answers (
      id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, fingerprint BLOB NOT NULL, answer BLOB NOT NULL,
      at INTEGER NOT NULL, ends_at INTEGER NOT NULL) STRICT;";

/// Makes the tables where they are missing.
///
/// # Errors
/// SQLite's; nothing was made then.
pub fn ensure(file: &mut Connection, application_id: i32) -> rusqlite::Result<()> {
    let known = "SELECT count(*) FROM sqlite_schema WHERE name IN ('mainstay_commits', 'mainstay_answers')";
    if file.query_row(known, [], |row| row.get::<_, i64>(0))? == 2 {
        return Ok(());
    }
    let transaction = Transaction::new(file, TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    let insert = "INSERT INTO mainstay_commits (one, database, sequence) VALUES (1, ?1, 0)";
    transaction.execute(insert, [uuid::Uuid::new_v4().as_bytes()])?;
    // A program without migrations of its own must find its file again, too.
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.commit()
}

/// Which database this is, and the sequence of its last commit.
///
/// # Errors
/// SQLite's.
pub fn read(connection: &Connection) -> rusqlite::Result<(DatabaseId, u64)> {
    connection.query_row("SELECT database, sequence FROM mainstay_commits", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0).unsigned_abs()))
    })
}

/// Writes a commit's sequence, in its own transaction.
pub const SET_SEQUENCE: &str = "UPDATE mainstay_commits SET sequence = ?1";
