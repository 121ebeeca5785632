//! Opening a file for the first time in this process (floor 1): refusing what is not ours, then its schema.
//!
//! What must stay true: a file that isn't ours is left byte for byte as it was; each migration is one transaction
//! with its `user_version`; a file of a newer version is refused, not downgraded; an up-to-date file is opened
//! without taking a write lock, so that a lock held by another process doesn't keep the service from starting.
//! Called by `Database::open` only.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::connection::{self, Role};
use super::evidence::SetAside;
use super::identity::{Found, identity, log_path, look};
use super::internal::{self, DatabaseId};
use super::open_error::OpenError;
use super::sequence::acknowledged;

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

/// A file that is ready.
#[derive(Debug)]
pub struct Prepared {
    /// The migrations that were applied.
    pub applied: Vec<&'static str>,
    /// Which database it is.
    pub database: DatabaseId,
    /// The sequence of its last commit.
    pub last_commit: u64,
    /// The log as it was before SQLite cut it.
    pub set_aside: Option<SetAside>,
}

const OLDEST_SQLITE: i32 = 3_051_003;

/// Makes the file ready: refuses what isn't ours, switches to WAL, migrates. A new one is made so that freed pages can be
/// given back in small steps where `gives_pages_back` says so: that is decided before a file has its first page.
///
/// # Errors
/// [`OpenError`]; the file is untouched unless a migration had begun, which was rolled back.
pub fn prepare(
    path: &Path,
    application_id: i32,
    migrations: &[Migration],
    gives_pages_back: bool,
) -> Result<Prepared, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::LibraryTooOld {
            found: rusqlite::version(),
        });
    }
    let shown = path.display().to_string();
    let found = check_untouched(path, application_id, migrations)?;
    let set_aside = SetAside::before_first_open(path);
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
    if gives_pages_back && found == Found::Nothing {
        file.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")
            .map_err(sqlite("auto_vacuum"))?;
    }
    connection::configure(&file, Role::Writer).map_err(sqlite("configure"))?;
    let mut applied = Vec::new();
    for migration in migrations.iter().filter(|m| m.version > version) {
        apply(&mut file, application_id, migration).map_err(sqlite(migration.name))?;
        applied.push(migration.name);
    }
    internal::ensure(&mut file, application_id).map_err(sqlite("the layer's own tables"))?;
    let (database, last_commit) = internal::read(&file).map_err(sqlite("the last commit"))?;
    Ok(Prepared {
        applied,
        database,
        last_commit,
        set_aside,
    })
}

/// Refuses what isn't ours before it is opened for writing: closing a writing connection would fold another program's
/// leftover write-ahead log into its file. Mostly the first bytes of the file tell; where they don't say whose it is,
/// its content is looked at without changing anything.
fn check_untouched(path: &Path, expected: i32, migrations: &[Migration]) -> Result<Found, OpenError> {
    let shown = || path.display().to_string();
    let found = look(path).map_err(|source| OpenError::Io { path: shown(), source })?;
    match found {
        Found::Foreign => Err(OpenError::NotADatabase { path: shown() }),
        Found::Sqlite { application_id, .. } if application_id != 0 && application_id != expected => {
            Err(OpenError::Foreign {
                path: shown(),
                found: application_id,
                expected,
            })
        }
        Found::Sqlite { application_id: 0, .. } => {
            let sqlite = |source| OpenError::Sqlite {
                path: shown(),
                what: "look".to_owned(),
                source,
            };
            let file = open_untouched(path).map_err(sqlite)?;
            check_ours(&file, &shown(), expected, migrations).map(|_| found)
        }
        Found::Sqlite { user_version, .. } => check_version(&shown(), user_version, migrations).map(|_| found),
        Found::Nothing => match traces_beside(path) {
            Some(traces) => Err(OpenError::Gone { path: shown(), traces }),
            None => Ok(found),
        },
    }
}

/// What lies beside a file that is missing and says that it held something: an empty one in its place would answer
/// "not found" for everything that was ever acknowledged.
fn traces_beside(path: &Path) -> Option<String> {
    let commits = acknowledged(path).map(|number| format!("its {number} acknowledged commits are on record beside it"));
    let log_bytes = std::fs::metadata(log_path(path)).map_or(0, |log| log.len());
    let log = (log_bytes > 0).then(|| format!("its write-ahead log of {log_bytes} bytes lies there"));
    let traces: Vec<_> = commits.into_iter().chain(log).collect();
    (!traces.is_empty()).then(|| traces.join(" and "))
}

/// The version, unless it is newer than what the migrations know.
fn check_version(shown: &str, version: i32, migrations: &[Migration]) -> Result<u32, OpenError> {
    let (found, known) = (version.max(0).unsigned_abs(), latest(migrations));
    if found > known {
        let path = shown.to_owned();
        return Err(OpenError::Newer { path, found, known });
    }
    Ok(found)
}

fn latest(migrations: &[Migration]) -> u32 {
    migrations.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Looks at a file without changing anything: in words what is there.
///
/// # Errors
/// [`OpenError`], as opening it would give.
pub fn inspect(path: &Path, application_id: i32, migrations: &[Migration]) -> Result<String, OpenError> {
    let known = latest(migrations);
    Ok(match check_untouched(path, application_id, migrations)? {
        Found::Sqlite { user_version, .. } if user_version.max(0).unsigned_abs() < known => {
            format!("schema version {user_version}, will be migrated to {known}")
        }
        Found::Sqlite { .. } => format!("schema version {known}"),
        Found::Nothing | Found::Foreign => "will be created".to_owned(),
    })
}

/// Opens a file so that nothing is made beside it: without a write-ahead log it is read as if it could not change.
fn open_untouched(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if identity(&log_path(path)).is_ok() {
        return Connection::open_with_flags(path, flags);
    }
    let plain = path.to_string_lossy();
    let encoded = plain.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Connection::open_with_flags(
        format!("file:{encoded}?immutable=1"),
        flags | OpenFlags::SQLITE_OPEN_URI,
    )
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
    let version = read("PRAGMA user_version")?;
    if found != expected && (found != 0 || objects > 0) {
        return Err(OpenError::Foreign {
            path: shown.to_owned(),
            found,
            expected,
        });
    }
    check_version(shown, version, migrations)
}

fn apply(file: &mut Connection, application_id: i32, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = Transaction::new(file, TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", migration.version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
