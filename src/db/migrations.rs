//! Opening a file for the first time in this process (floor 1): refusing what is not ours, then its schema.
//!
//! What must stay true: a file that isn't ours is left byte for byte as it was; each migration is one transaction
//! with its `user_version`; a file of a newer version is refused, not downgraded; an up-to-date file is opened
//! without taking a write lock, so that a lock held by another process doesn't keep the service from starting.
//! Called by `Database::open` only.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::connection::{self, Role};
use super::identity::{Found, look};

/// One step of a schema; steps are applied in order, each in its own transaction, and never edited afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The `user_version` the file has afterwards: 1, 2, 3 …
    pub version: u32,
    /// What it does, for the log.
    pub name: &'static str,
    /// The SQL.
    pub sql: &'static str,
}

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an SQLite database.
    #[error(
        "{path} is not an SQLite database; it was left untouched. Move it away, or point MAINSTAY_DATA_DIR elsewhere"
    )]
    NotADatabase {
        /// The file.
        path: String,
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

const OLDEST_SQLITE: i32 = 3_051_003;

/// Makes the file ready: refuses what isn't ours, switches to WAL, migrates. Returns the migrations applied.
///
/// # Errors
/// [`OpenError`]; the file is untouched unless a migration had begun, which was rolled back.
pub fn prepare(path: &Path, application_id: i32, migrations: &[Migration]) -> Result<Vec<&'static str>, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::LibraryTooOld {
            found: rusqlite::version(),
        });
    }
    let shown = path.display().to_string();
    let found = look(path).map_err(|source| OpenError::Io {
        path: shown.clone(),
        source,
    })?;
    if found == Found::Foreign {
        return Err(OpenError::NotADatabase { path: shown });
    }
    let sqlite = |what: &str| {
        let (path, what) = (shown.clone(), what.to_owned());
        move |source| OpenError::Sqlite { path, what, source }
    };
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if found == Found::Nothing {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let mut file = Connection::open_with_flags(path, flags).map_err(sqlite("open"))?;
    file.busy_timeout(std::time::Duration::from_secs(10))
        .map_err(sqlite("busy_timeout"))?;
    let version = check_ours(&file, &shown, application_id, migrations)?;
    connection::configure(&file, Role::Writer).map_err(sqlite("configure"))?;
    let mut applied = Vec::new();
    for migration in migrations.iter().filter(|m| m.version > version) {
        apply(&mut file, application_id, migration).map_err(sqlite(migration.name))?;
        applied.push(migration.name);
    }
    Ok(applied)
}

/// Looks at a file without changing it: in words what is there.
///
/// # Errors
/// [`OpenError`], as opening it would give.
pub fn inspect(path: &Path, application_id: i32, migrations: &[Migration]) -> Result<String, OpenError> {
    let shown = path.display().to_string();
    match look(path).map_err(|source| OpenError::Io {
        path: shown.clone(),
        source,
    })? {
        Found::Nothing => return Ok("will be created".to_owned()),
        Found::Foreign => return Err(OpenError::NotADatabase { path: shown }),
        Found::Sqlite => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags).map_err(|source| OpenError::Sqlite {
        path: shown.clone(),
        what: "open".to_owned(),
        source,
    })?;
    let version = check_ours(&file, &shown, application_id, migrations)?;
    let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
    Ok(if version == known {
        format!("schema version {version}")
    } else {
        format!("schema version {version}, will be migrated to {known}")
    })
}

/// Reads what the file says of itself; its `user_version` when it is ours.
fn check_ours(file: &Connection, shown: &str, expected: i32, migrations: &[Migration]) -> Result<u32, OpenError> {
    let read = |pragma: &str| -> Result<i32, OpenError> {
        file.query_row(pragma, [], |row| row.get(0)).map_err(|source| {
            let path = shown.to_owned();
            match super::classify::code_of(&source).map(|c| c & 0xff) {
                Some(26) => OpenError::NotADatabase { path },
                _ => OpenError::Sqlite {
                    path,
                    what: pragma.to_owned(),
                    source,
                },
            }
        })
    };
    let objects = read("SELECT count(*) FROM sqlite_schema")?;
    let found = read("PRAGMA application_id")?;
    let version = read("PRAGMA user_version")?.max(0).unsigned_abs();
    if found != expected && (found != 0 || objects > 0) {
        return Err(OpenError::Foreign {
            path: shown.to_owned(),
            found,
            expected,
        });
    }
    let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
    if version > known {
        return Err(OpenError::Newer {
            path: shown.to_owned(),
            found: version,
            known,
        });
    }
    Ok(version)
}

fn apply(file: &mut Connection, application_id: i32, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = Transaction::new(file, TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", migration.version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Migration] = &[
        Migration {
            version: 1,
            name: "first",
            sql: "CREATE TABLE a(x)",
        },
        Migration {
            version: 2,
            name: "second",
            sql: "CREATE TABLE b(x)",
        },
    ];

    #[test]
    fn a_new_file_gets_every_step_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        assert_eq!(prepare(&path, 77, &STEPS[..1]).expect("made"), ["first"]);
        assert_eq!(prepare(&path, 77, STEPS).expect("migrated"), ["second"]);
        assert!(prepare(&path, 77, STEPS).expect("current").is_empty());
    }

    #[test]
    fn what_is_not_ours_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().expect("folder");
        let garbage = folder.path().join("garbage.db");
        std::fs::write(&garbage, [9_u8; 9000]).expect("written");
        assert!(matches!(
            prepare(&garbage, 77, STEPS),
            Err(OpenError::NotADatabase { .. })
        ));
        assert_eq!(std::fs::read(&garbage).expect("read"), [9_u8; 9000]);

        let other = folder.path().join("other.db");
        Connection::open(&other)
            .expect("opens")
            .execute_batch("CREATE TABLE theirs(x)")
            .expect("made");
        let before = std::fs::read(&other).expect("read");
        assert!(matches!(
            prepare(&other, 77, STEPS),
            Err(OpenError::Foreign { found: 0, .. })
        ));
        assert_eq!(std::fs::read(&other).expect("read"), before);

        let newer = folder.path().join("newer.db");
        prepare(&newer, 77, STEPS).expect("made");
        let refused = prepare(&newer, 77, &STEPS[..1]);
        assert!(matches!(refused, Err(OpenError::Newer { found: 2, known: 1, .. })));
    }

    #[test]
    fn a_failing_step_is_rolled_back_whole() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        let bad = [
            STEPS[0],
            Migration {
                version: 2,
                name: "bad",
                sql: "CREATE TABLE b(x); CREATE TABLE a(x)",
            },
        ];
        assert!(prepare(&path, 77, &bad).is_err());
        assert_eq!(prepare(&path, 77, STEPS).expect("repaired"), ["second"]);
    }

    #[test]
    fn an_up_to_date_file_opens_while_another_process_holds_the_write_lock() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.db");
        prepare(&path, 77, STEPS).expect("made");
        let holder = Connection::open(&path).expect("opens");
        holder.execute_batch("BEGIN IMMEDIATE").expect("locked");
        assert!(prepare(&path, 77, STEPS).expect("opens").is_empty());
    }
}
