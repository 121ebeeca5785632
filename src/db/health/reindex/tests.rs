//! Indexes made anew in steps that a kill may come between, and under awkward names.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;

/// A table with an index of several levels called `name`.
fn made(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join("a.db");
    let file = Connection::open(&path).expect("opens");
    file.execute_batch(&format!(
        "PRAGMA application_id = 7; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX \"{name}\" ON t(b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
         INSERT INTO t SELECT i, 'a key of many characters, so that few fit on one page, and number ' || i FROM n"
    ))
    .expect("made");
    path
}

/// Overwrites a page of the index.
fn spoil(path: &Path, name: &str, kind: &str) {
    let file = Connection::open(path).expect("opens");
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 AND path != '/' LIMIT 1";
    let page: i64 = file.query_row(sql, [name, kind], |row| row.get(0)).expect("a page");
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    file.write_all_at(&[0xA5; 4096], (page.unsigned_abs() - 1) * 4096)
        .expect("spoiled");
}

fn checked(path: &Path) -> Verdict {
    check(path, 7, Depth::Everything, &Arc::default())
}

#[test]
fn an_end_between_the_new_index_and_the_return_of_its_old_pages_leaves_it_to_the_next_try() {
    let folder = tempfile::tempdir().expect("folder");
    let path = made(folder.path(), "by b");
    spoil(&path, "by b", "internal");
    let names = ["by b".to_owned()];
    let open = || Connection::open(&path).expect("opens");
    assert!(rebuild(&open(), &names).is_err(), "its pages lead nowhere");
    replace(&open(), &names).expect("replaced");
    // Here the process was killed.
    match checked(&path) {
        Verdict::Indexes { names: found, .. } => assert_eq!(found, names),
        other => panic!("it must be offered again: {other:?}"),
    }
    rebuild(&open(), &names).expect("its tree is sound by now");
    give_back(&open()).expect("given back");
    assert_eq!(checked(&path), Verdict::Sound);
    assert_eq!(replaced_indexes(&open()), Ok(None));
}

#[test]
fn lost_pages_that_no_replaced_index_explains_are_damage() {
    let folder = tempfile::tempdir().expect("folder");
    let path = made(folder.path(), "by b");
    spoil(&path, "by b", "internal");
    let file = Connection::open(&path).expect("opens");
    replace(&file, &["by b".to_owned()]).expect("replaced");
    file.execute_batch("DROP TABLE mainstay_spare").expect("dropped");
    assert!(
        matches!(checked(&path), Verdict::Damaged { .. }),
        "{:?}",
        checked(&path)
    );
}

#[test]
fn several_are_replaced_at_once_and_once_more() {
    let folder = tempfile::tempdir().expect("folder");
    let path = made(folder.path(), "by b");
    let file = Connection::open(&path).expect("opens");
    file.execute_batch("CREATE INDEX second ON t(b, a)").expect("made");
    let names = ["by b", "second"].map(str::to_owned);
    for name in &names {
        spoil(&path, name, "internal");
    }
    drop(file);
    let file = Connection::open(&path).expect("opens");
    for _ in 0..2 {
        replace(&file, &names).expect("replaced");
    }
    give_back(&file).expect("given back");
    assert_eq!(checked(&path), Verdict::Sound);
}

#[test]
fn an_index_that_is_called_like_a_collation_is_meant_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let path = made(folder.path(), "nocase");
    spoil(&path, "nocase", "leaf");
    let file = Connection::open(&path).expect("opens");
    let names = ["nocase".to_owned()];
    if rebuild(&file, &names).is_err() {
        drop(file);
        let file = Connection::open(&path).expect("opens");
        replace(&file, &names).expect("replaced");
        give_back(&file).expect("given back");
    }
    assert_eq!(checked(&path), Verdict::Sound);
}
