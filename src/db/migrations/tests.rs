//! Files that are new, ours, newer, foreign and broken.

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
    assert_eq!(prepare(&path, 77, &STEPS[..1], false).expect("made").applied, ["first"]);
    assert_eq!(prepare(&path, 77, STEPS, false).expect("migrated").applied, ["second"]);
    assert!(prepare(&path, 77, STEPS, false).expect("current").applied.is_empty());
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("folder");
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, [9_u8; 9000]).expect("written");
    assert!(matches!(
        prepare(&garbage, 77, STEPS, false),
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
        prepare(&other, 77, STEPS, false),
        Err(OpenError::Foreign { found: 0, .. })
    ));
    assert_eq!(std::fs::read(&other).expect("read"), before);

    let newer = folder.path().join("newer.db");
    prepare(&newer, 77, STEPS, false).expect("made");
    let refused = prepare(&newer, 77, &STEPS[..1], false);
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
    assert!(prepare(&path, 77, &bad, false).is_err());
    assert_eq!(prepare(&path, 77, STEPS, false).expect("repaired").applied, ["second"]);
}

#[test]
fn an_up_to_date_file_opens_while_another_process_holds_the_write_lock() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    prepare(&path, 77, STEPS, false).expect("made");
    let holder = Connection::open(&path).expect("opens");
    holder.execute_batch("BEGIN IMMEDIATE").expect("locked");
    assert!(prepare(&path, 77, STEPS, false).expect("opens").applied.is_empty());
}

#[test]
fn a_file_that_is_gone_is_not_made_anew_over_what_it_held() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    let (mut sequence, _) = crate::db::sequence::Sequence::open(&path, [7; 16], 0);
    let number = sequence.next();
    sequence.acknowledge(number);
    for is_there in [false, true] {
        let gone = prepare(&path, 77, STEPS, false).expect_err("refused").to_string();
        assert!(gone.contains("1 acknowledged commits"), "{gone}");
        let inspected = inspect(&path, 77, STEPS).expect_err("refused").to_string();
        assert_eq!(inspected, gone);
        assert_eq!(path.exists(), is_there, "nothing is created");
        std::fs::write(&path, "").expect("emptied");
    }
    std::fs::remove_file(crate::db::sequence_path(&path)).expect("removed");
    let log = folder.path().join("a.db-wal");
    std::fs::write(&log, [1; 64]).expect("written");
    let gone = prepare(&path, 77, STEPS, false).expect_err("refused").to_string();
    assert!(gone.contains("log of 64 bytes"), "{gone}");
    std::fs::remove_file(log).expect("removed");
    prepare(&path, 77, STEPS, false).expect("begun anew");
}

#[test]
fn a_new_file_gives_its_pages_back_where_that_is_wanted_and_one_that_exists_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, first, then) in [("giving.db", true, false), ("keeping.db", false, true)] {
        let path = folder.path().join(name);
        for gives_back in [first, then] {
            prepare(&path, 77, STEPS, gives_back).expect("made");
            let file = Connection::open(&path).expect("opens");
            let found: i64 = file
                .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
                .expect("read");
            assert_eq!(found == 2, first, "{name}");
        }
    }
}
