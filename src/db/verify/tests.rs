//! Verdicts on files that are spoiled page by page.

use std::os::unix::fs::FileExt;

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
    assert!(matches!(foreign, Verdict::Damaged { .. }), "{foreign:?}");
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
    assert!(matches!(verdict, Verdict::Damaged { .. }), "{verdict:?}");
}

#[test]
fn a_check_that_is_not_carried_out_is_no_good_verdict() {
    let folder = tempfile::tempdir().expect("folder");
    let verdict = checked(&folder.path().join("missing.db"), Depth::Pages);
    assert!(matches!(verdict, Verdict::Unchecked(_)), "{verdict:?}");
}

/// Trees of several levels: a named index, those of constraints, and a table that is its primary key.
fn large(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("large.db");
    let file = Connection::open(&path).expect("opens");
    file.execute_batch(
        "PRAGMA application_id = 7;
         CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c TEXT, d BLOB); CREATE INDEX \"by c\" ON t(c);
         CREATE TABLE w(k TEXT PRIMARY KEY, u TEXT UNIQUE) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
         INSERT INTO t SELECT i, 'a key of many characters, so that few fit on one page, and number ' || i, 'c' || i * 7919 % 4000,
             CASE WHEN i % 1000 = 0 THEN randomblob(20000) END FROM n;
         INSERT INTO w SELECT b, c || b FROM t",
    )
    .expect("made");
    path
}

/// Overwrites a page in the middle of those of this kind; the root is none of them.
fn spoil(path: &Path, tree: &str, kind: &str) {
    let file = Connection::open(path).expect("opens");
    let mut asked = file
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 AND path != '/' ORDER BY path")
        .expect("asked");
    let pages: Vec<u64> = asked
        .query_map([tree, kind], |row| row.get::<_, i64>(0))
        .expect("asked")
        .map(|page| page.expect("a page").unsigned_abs())
        .collect();
    let page = pages.get(pages.len() / 2).expect("such a page");
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    file.write_all_at(&[0xA5; 4096], (page - 1) * 4096).expect("spoiled");
}

fn verdict_after(spoilt: &[(&str, &str)]) -> Verdict {
    let folder = tempfile::tempdir().expect("folder");
    let path = large(folder.path());
    for (tree, kind) in spoilt {
        spoil(&path, tree, kind);
    }
    checked(&path, Depth::Everything)
}

#[test]
fn pages_of_indexes_alone_leave_the_data_whole() {
    for (index, kind) in [
        ("by c", "leaf"),
        ("sqlite_autoindex_t_1", "leaf"),
        ("sqlite_autoindex_t_1", "internal"),
        ("sqlite_autoindex_w_2", "leaf"),
    ] {
        match verdict_after(&[(index, kind)]) {
            Verdict::Indexes { names, .. } => assert_eq!(names, [index], "{kind}"),
            other => panic!("{index} {kind}: {other:?}"),
        }
    }
    match verdict_after(&[("by c", "leaf"), ("sqlite_autoindex_w_2", "leaf")]) {
        Verdict::Indexes { names, .. } => assert_eq!(names, ["by c", "sqlite_autoindex_w_2"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_of_a_table_is_more_whatever_else_is_damaged() {
    for (spoilt, table) in [
        (&[("t", "leaf")] as &[_], "t"),
        (&[("t", "overflow")], "t"),
        // Its primary key is the table.
        (&[("w", "leaf")], "w"),
        (&[("w", "internal")], "w"),
        (&[("t", "leaf"), ("sqlite_autoindex_t_1", "leaf")], "t"),
        (&[("w", "leaf"), ("by c", "leaf")], "w"),
    ] {
        match verdict_after(spoilt) {
            Verdict::Damaged { tables, .. } => assert_eq!(tables, [table], "{spoilt:?}"),
            other => panic!("{spoilt:?}: {other:?}"),
        }
    }
}
