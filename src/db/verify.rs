//! The check of a whole file (floor 1): SQLite's own, on a connection of its own that can't write, and what it means.
//!
//! What must stay true: the file that is checked is the one that would be used again, not a copy that may be better or
//! worse; a check that could not be carried out is not a good verdict; it ends by its limit and when nobody waits for it.
//! Its words are the only source for which index is wrong: they are the check's result, not an error's message.
//! Called by the isolation of a file and by REINDEX.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::classify::{Impact, classify_error};
use super::deadline::{Limits, Scope, obey_scopes};
use crate::clock;

/// A check of the whole file may take this long, and longer for a large file.
pub const SHORTEST_CHECK: Duration = Duration::from_secs(10);
const SLOW_DISK_BYTES_PER_SECOND: u64 = 10 << 20;
/// Findings that are listed at most.
const MOST_FINDINGS: usize = 100;

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
    Damaged(Vec<String>),
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
        Impact::Isolates => Verdict::Damaged(vec![error.to_string()]),
        _ => Verdict::Unchecked(error.to_string()),
    })
}

fn verdict_on(file: &Connection, application_id: i32, depth: Depth) -> rusqlite::Result<Verdict> {
    let found: i32 = file.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if found != application_id {
        return Ok(Verdict::Damaged(vec![not_ours(found, application_id)]));
    }
    let sql = match depth {
        Depth::Pages => format!("PRAGMA quick_check({MOST_FINDINGS})"),
        Depth::Everything => format!("PRAGMA integrity_check({MOST_FINDINGS})"),
    };
    let rows: Vec<String> = file
        .prepare(&sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if rows == ["ok"] {
        return Ok(Verdict::Sound);
    }
    // One row may hold several lines, below a heading that names the schema.
    let lines = rows
        .iter()
        .flat_map(|row| row.lines())
        .filter(|line| !line.starts_with("***"));
    let findings: Vec<String> = lines.take(MOST_FINDINGS).map(str::to_owned).collect();
    let roots = index_roots(file).unwrap_or_default();
    let names: Option<BTreeSet<_>> = findings.iter().map(|line| index_in(line, &roots)).collect();
    Ok(match names {
        Some(names) => Verdict::Indexes {
            names: names.into_iter().collect(),
            findings,
        },
        None => Verdict::Damaged(findings),
    })
}

/// What is said of a file that another program's data took the place of.
pub fn not_ours(found: i32, expected: i32) -> String {
    format!("another program's data is in the file: its application_id is {found}, not {expected}")
}

fn index_roots(file: &Connection) -> rusqlite::Result<HashMap<String, String>> {
    file.prepare("SELECT rootpage, name FROM sqlite_schema WHERE type = 'index'")?
        .query_map([], |row| Ok((row.get::<_, i64>(0)?.to_string(), row.get(1)?)))?
        .collect()
}

/// The index that a line of the check is about; `None` when it is about something else.
fn index_in(line: &str, roots: &HashMap<String, String>) -> Option<String> {
    const BEFORE_A_NAME: [&str; 5] = [
        " missing from index ",
        " values differ from index ",
        "wrong # of entries in index ",
        "non-unique entry in index ",
        " of index ",
    ];
    if let Some(rest) = line.strip_prefix("Tree ") {
        return roots.get(rest.split(' ').next()?).cloned();
    }
    if let Some((name, _)) = line
        .strip_prefix("index ")
        .and_then(|rest| rest.split_once(" stores an imprecise"))
    {
        return Some(name.to_owned());
    }
    let name = BEFORE_A_NAME.iter().find_map(|mark| line.split_once(mark))?.1;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("a.db");
        let file = Connection::open(&path).expect("opens");
        file.execute_batch(
            "PRAGMA application_id = 7; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX \"by b\" ON t(b);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
             INSERT INTO t SELECT i, 'text ' || i FROM n",
        )
        .expect("made");
        path
    }

    fn checked(path: &Path, depth: Depth) -> Verdict {
        check(path, 7, depth, &Arc::default())
    }

    /// Rows come and go while the index doesn't look; their number stays the same, which is all that a quick check counts.
    fn spoil_index(path: &Path) {
        let file = Connection::open(path).expect("opens");
        file.execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE aside AS SELECT sql, rootpage FROM sqlite_schema WHERE name = 'by b';
             DELETE FROM sqlite_schema WHERE name = 'by b';",
        )
        .expect("hidden");
        drop(file);
        let file = Connection::open(path).expect("opens");
        file.execute_batch(
            "DELETE FROM t WHERE a = 1;
             INSERT INTO t VALUES (1000, 'unseen');
             PRAGMA writable_schema = ON;
             INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql)
                 SELECT 'index', 'by b', 't', rootpage, sql FROM aside;
             DROP TABLE aside",
        )
        .expect("shown again");
    }

    #[test]
    fn a_sound_file_is_sound_and_another_programs_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = made(folder.path());
        assert_eq!(checked(&path, Depth::Everything), Verdict::Sound);
        assert_eq!(checked(&path, Depth::Pages), Verdict::Sound);
        let foreign = check(&path, 8, Depth::Pages, &Arc::default());
        assert!(matches!(foreign, Verdict::Damaged(_)), "{foreign:?}");
    }

    #[test]
    fn an_index_that_lacks_a_row_is_named_and_the_quick_check_misses_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = made(folder.path());
        spoil_index(&path);
        assert_eq!(checked(&path, Depth::Pages), Verdict::Sound);
        let Verdict::Indexes { names, findings } = checked(&path, Depth::Everything) else {
            panic!("{:?}", checked(&path, Depth::Everything));
        };
        assert_eq!(names, ["by b"]);
        assert!(!findings.is_empty());
    }

    #[test]
    fn a_damaged_table_is_more_than_an_index() {
        let folder = tempfile::tempdir().expect("folder");
        let path = made(folder.path());
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xA5; 4096], 4096).expect("damaged");
        let verdict = checked(&path, Depth::Everything);
        assert!(matches!(verdict, Verdict::Damaged(_)), "{verdict:?}");
    }

    #[test]
    fn a_check_that_is_not_carried_out_is_no_good_verdict() {
        let folder = tempfile::tempdir().expect("folder");
        let verdict = checked(&folder.path().join("missing.db"), Depth::Pages);
        assert!(matches!(verdict, Verdict::Unchecked(_)), "{verdict:?}");
    }

    #[test]
    fn the_words_of_the_check_name_the_index() {
        let roots = HashMap::from([("5".to_owned(), "by b".to_owned())]);
        let name = |line| index_in(line, &roots);
        assert_eq!(name("row 3 missing from index by b").as_deref(), Some("by b"));
        assert_eq!(name("wrong # of entries in index x").as_deref(), Some("x"));
        assert_eq!(name("non-unique entry in index x").as_deref(), Some("x"));
        assert_eq!(name("row 3 values differ from index x").as_deref(), Some("x"));
        assert_eq!(
            name("rowid not at end-of-record for row 3 of index x").as_deref(),
            Some("x")
        );
        assert_eq!(
            name("Tree 5 page 9 cell 1: Offset 3 out of range").as_deref(),
            Some("by b")
        );
        assert_eq!(name("Tree 2 page 2: btreeInitPage() returns error code 11"), None);
        assert_eq!(name("Page 7: never used"), None);
        assert_eq!(name("Freelist: size is 3 but should be 2"), None);
    }
}
