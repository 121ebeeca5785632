//! The record of the last acknowledged commit: torn, foreign, ahead.

use super::*;

const OURS: DatabaseId = [7; 16];

fn written(folder: &Path, numbers: &[u64]) -> PathBuf {
    let database = folder.join("a.db");
    let (mut sequence, _) = Sequence::open(&database, OURS, 0);
    numbers.iter().for_each(|n| sequence.acknowledge(*n));
    sequence.sync();
    assert!(!sequence.is_unsynced());
    database
}

#[test]
fn a_database_that_is_behind_is_noticed_and_numbers_go_on_above() {
    let folder = tempfile::tempdir().expect("folder");
    let database = written(folder.path(), &[1, 2, 3]);
    assert_eq!(Sequence::open(&database, OURS, 3).1, None);
    assert_eq!(
        Sequence::open(&database, OURS, 9).1,
        None,
        "killed before the number was written"
    );
    let (mut sequence, missing) = Sequence::open(&database, OURS, 1);
    assert_eq!(missing, Some(MissingCommits::Behind { expected: 3, found: 1 }));
    assert_eq!(sequence.next(), 4);
    sequence.acknowledge(4);
    assert_eq!(
        Sequence::open(&database, OURS, 4).1,
        None,
        "told, and gone on from there"
    );
}

#[test]
fn another_database_is_told_from_an_older_one() {
    let folder = tempfile::tempdir().expect("folder");
    let database = written(folder.path(), &[1, 2]);
    let (mut sequence, missing) = Sequence::open(&database, [8; 16], 5);
    assert_eq!(missing, Some(MissingCommits::OtherDatabase { expected: 2 }));
    let next = sequence.next();
    sequence.acknowledge(next);
    assert_eq!(Sequence::open(&database, [8; 16], next).1, None);
}

#[test]
fn a_torn_write_costs_one_number_at_most() {
    let folder = tempfile::tempdir().expect("folder");
    let database = written(folder.path(), &[1, 2, 3, 4]);
    let path = sequence_path(&database);
    let whole = std::fs::read(&path).expect("read");
    for offset in SLOT_OFFSETS {
        for at in offset..offset + SLOT_BYTES {
            let mut torn = whole.clone();
            torn[at] ^= 0x10;
            std::fs::write(&path, torn).expect("written");
            let found = Sequence::open(&database, OURS, 0).1;
            let expected = |n| Some(MissingCommits::Behind { expected: n, found: 0 });
            assert!(found == expected(3) || found == expected(4), "{at}: {found:?}");
        }
    }
    for spoilt in ["short", ""] {
        std::fs::write(&path, spoilt).expect("written");
        let found = Sequence::open(&database, OURS, 4);
        assert_eq!(found.1, Some(MissingCommits::RecordUnreadable));
    }
    let (mut sequence, _) = Sequence::open(&database, OURS, 4);
    let number = sequence.next();
    sequence.acknowledge(number);
    assert_eq!(Sequence::open(&database, OURS, 5).1, None, "begun anew");
}

#[test]
fn a_file_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let database = folder.path().join("missing").join("a.db");
    let (mut sequence, _) = Sequence::open(&database, OURS, 0);
    sequence.acknowledge(1);
    assert!(sequence.is_failing);
    std::fs::create_dir(folder.path().join("missing")).expect("made");
    sequence.acknowledge(2);
    assert!(!sequence.is_failing);
    let behind = MissingCommits::Behind { expected: 2, found: 0 };
    assert_eq!(Sequence::open(&database, OURS, 0).1, Some(behind));
}
