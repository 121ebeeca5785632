//! Tests of what a start tells of a spool that was damaged while the service was down.

use std::fs;
use std::path::PathBuf;

use super::tests::{PLENTY, append, event, files, read_all};
use super::*;

/// A folder as a killed process leaves it: two appends of three events, and the segment's path.
async fn six_accepted() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    for first in [0, 3] {
        let events: Vec<_> = (first..first + 3).map(event).collect();
        append(&spool, &events).await.unwrap();
    }
    let path = files(folder.path(), "spool").remove(0);
    (folder, path)
}

/// What another process finds after `harm`: events, events lost, files kept aside after all was replayed.
async fn after(harm: impl Fn(&mut Vec<u8>)) -> (usize, u64, usize) {
    let (folder, path) = six_accepted().await;
    let mut bytes = fs::read(&path).unwrap();
    harm(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    let lost = spool.status().lost_before_start;
    let (found, more) = read_all(&spool, 10).await;
    assert_eq!(more, 0);
    assert!(files(folder.path(), "tally").is_empty());
    (found.len(), lost, files(folder.path(), "damaged").len())
}

#[tokio::test]
async fn every_accepted_event_that_is_missing_is_counted() {
    assert_eq!(after(|_| ()).await, (6, 0, 0));
    assert_eq!(after(|bytes| bytes[1000] ^= 1).await, (5, 1, 1), "a flipped bit");
    assert_eq!(
        after(|bytes| bytes.truncate((bytes.len() - 8) / 2 + 20)).await.1,
        4 - 1,
        "cut in half"
    );
    assert_eq!(
        after(|bytes| *bytes.last_mut().unwrap() ^= 1).await,
        (5, 1, 1),
        "the last byte"
    );
    assert_eq!(
        after(|bytes| bytes[..16].fill(0xff)).await,
        (5, 1, 1),
        "the first bytes"
    );
    assert_eq!(after(Vec::clear).await, (0, 6, 1), "emptied");
    assert_eq!(after(|bytes| bytes.fill(0)).await, (0, 6, 1), "zeros");
}

#[tokio::test]
async fn a_cut_anywhere_is_told_to_the_event() {
    let (_folder, path) = six_accepted().await;
    let size = fs::metadata(path).unwrap().len() as usize;
    for cut in (0..size).step_by(97) {
        let (found, lost, aside) = after(|bytes| bytes.truncate(cut)).await;
        assert_eq!((found as u64 + lost, aside), (6, 1), "cut at {cut}");
        assert!(lost > 0, "cut at {cut}");
    }
}

#[tokio::test]
async fn what_was_never_acknowledged_alarms_nobody() {
    let whole = |bytes: &[u8]| bytes[8..8 + (bytes.len() - 8) / 6].to_vec();
    let torn = |bytes: &mut Vec<u8>| bytes.extend(&whole(bytes)[..40]);
    assert_eq!(after(torn).await, (6, 0, 0), "a torn record");
    assert_eq!(
        after(|bytes| bytes.extend(whole(bytes))).await,
        (7, 0, 0),
        "a whole record"
    );
    let damaged = |bytes: &mut Vec<u8>| {
        bytes.extend(whole(bytes));
        *bytes.last_mut().unwrap() ^= 1;
    };
    // For people to look at, without an alarm.
    assert_eq!(after(damaged).await, (6, 0, 1), "a damaged record");
}

#[tokio::test]
async fn a_segment_that_went_away_is_missed_once() {
    let (folder, path) = six_accepted().await;
    fs::remove_file(path).unwrap();
    for lost in [6, 0] {
        let spool = Spool::open(folder.path(), PLENTY).unwrap();
        let status = spool.status();
        assert_eq!((status.events, status.lost_before_start), (0, lost));
    }
}

#[tokio::test]
async fn without_a_tally_the_damaged_records_are_counted() {
    let (folder, path) = six_accepted().await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::write(&files(folder.path(), "tally")[0], "no tally").unwrap();
    let status = Spool::open(folder.path(), PLENTY).unwrap().status();
    assert_eq!((status.events, status.lost_before_start), (5, 1));
}
