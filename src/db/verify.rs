//! The check of a whole file (floor 1): SQLite's own, on a connection of its own that can't write, and what it means.
//!
//! What must stay true: the file that is checked is the one that would be used again, not a copy that may be better or
//! worse; a check that could not be carried out is not a good verdict; it ends by its limit and when nobody waits for it;
//! what is damaged is looked for b-tree by b-tree ([`blame`]). Called by the isolation of a file and by REINDEX.

mod blame;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::classify::{Impact, classify_error};
use super::deadline::{Limits, Scope, obey_scopes};
use crate::clock;

pub use self::blame::replaced_indexes;

/// A check of the whole file may take this long, and longer for a large file.
pub const SHORTEST_CHECK: Duration = Duration::from_secs(10);
const SLOW_DISK_BYTES_PER_SECOND: u64 = 10 << 20;
/// Findings that are listed at most.
const MOST_FINDINGS: usize = 100;

/// Begins the line that says why a check ended early.
const STOPPED: &str = "the check could not go on: ";

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `quick_check`: every page, for a file that was only away.
    Pages,
    /// `integrity_check`: indexes against their tables too, for one in which something wrong was found.
    Everything,
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Sound,
    /// Nothing but these indexes: the data is whole, and they can be made from it anew.
    Indexes {
        /// Their names.
        names: Vec<String>,
        /// The check's words.
        findings: Vec<String>,
    },
    /// More than indexes.
    Damaged {
        /// The tables that can't be read whole, where it is known.
        tables: Vec<String>,
        /// The check's words.
        findings: Vec<String>,
    },
    /// It could not be carried out, for this reason.
    Unchecked(String),
}

/// How long a check of this file may take.
pub fn limit_of(path: &Path) -> Duration {
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    SHORTEST_CHECK + Duration::from_secs(size / SLOW_DISK_BYTES_PER_SECOND)
}

/// Checks the file, and that it is still of the application it was. Blocking; as slow as reading the file.
pub fn check(path: &Path, application_id: i32, depth: Depth, cancelled: &Arc<AtomicBool>) -> Verdict {
    let checked = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Connection::open_with_flags(path, flags)?;
        obey_scopes(&file)?;
        let _scope = Scope::enter(Limits {
            deadline: clock::now() + limit_of(path),
            lock_budget: SHORTEST_CHECK,
            cancelled: Some(Arc::clone(cancelled)),
        });
        verdict_on(&file, application_id, depth)
    })();
    checked.unwrap_or_else(|error: rusqlite::Error| match classify_error(&error).impact {
        Impact::Isolates => damaged(error.to_string()),
        _ => Verdict::Unchecked(error.to_string()),
    })
}

fn verdict_on(file: &Connection, application_id: i32, depth: Depth) -> rusqlite::Result<Verdict> {
    let found: i32 = file.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if found != application_id {
        return Ok(damaged(not_ours(found, application_id)));
    }
    let mut findings = findings(file, depth, &MOST_FINDINGS.to_string())?;
    if findings.is_empty() {
        return Ok(Verdict::Sound);
    }
    let blamed = blame::look(file, &findings)?;
    // The reason to give up a table comes before what the check says of its indexes.
    findings.splice(0..0, blamed.unreadable);
    Ok(
        if blamed.tables.is_empty() && !blamed.beside && !blamed.indexes.is_empty() {
            let names = blamed.indexes.into_iter().collect();
            Verdict::Indexes { names, findings }
        } else {
            let tables = blamed.tables.into_iter().collect();
            Verdict::Damaged { tables, findings }
        },
    )
}

/// What SQLite's check says line by line, of the whole file or of the table in `subject`; nothing when all is well. It
/// may stop at what it can't read; that is its last line then.
fn findings(file: &Connection, depth: Depth, subject: &str) -> rusqlite::Result<Vec<String>> {
    let pragma = match depth {
        Depth::Pages => "quick_check",
        Depth::Everything => "integrity_check",
    };
    let mut lines = Vec::new();
    let mut statement = file.prepare(&format!("PRAGMA {pragma}({subject})"))?;
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                // One row may hold several lines, below a heading that names the schema.
                let text: String = row.get(0)?;
                let said = text.lines().filter(|line| !line.starts_with("***") && *line != "ok");
                lines.extend(said.map(str::to_owned));
            }
            Ok(None) => break,
            Err(error) if is_damage(&error) => {
                lines.truncate(MOST_FINDINGS - 1);
                lines.push(format!("{STOPPED}{error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    lines.truncate(MOST_FINDINGS);
    Ok(lines)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    classify_error(error).impact == Impact::Isolates
}

fn damaged(finding: String) -> Verdict {
    let (tables, findings) = (Vec::new(), vec![finding]);
    Verdict::Damaged { tables, findings }
}

/// What is said of a file that another program's data took the place of.
pub fn not_ours(found: i32, expected: i32) -> String {
    format!("another program's data is in the file: its application_id is {found}, not {expected}")
}

#[cfg(test)]
mod tests;
