//! Tests of the spool through its handle: round trip, order, bound, restart, torn and damaged files.

use std::fs;

use super::*;
use crate::events::parse;

const NOW: i64 = 1_750_000_000_000;
pub(super) const PLENTY: u64 = 64 << 20;

pub(super) fn event(n: usize) -> ErrorEvent {
    parse::event(
        &format!(r#"{{"message":"event {n}","details":{{"id":"x"}}}}"#),
        from_epoch_ms(NOW + n as i64),
    )
    .unwrap()
}

pub(super) async fn append(spool: &Spool, events: &[ErrorEvent]) -> Result<(), SpoolError> {
    spool.append(Records::of(events)).await
}

/// Reads everything in chunks of `limit`, removing each segment that was read.
pub(super) async fn read_all(spool: &Spool, limit: usize) -> (Vec<uuid::Uuid>, u64) {
    let (mut ids, mut lost, mut mark) = (Vec::new(), 0, None);
    while let Some(chunk) = spool.read(mark, limit).await {
        assert!(chunk.events.len() <= limit);
        ids.extend(chunk.events.iter().map(|e| e.id));
        lost += chunk.lost;
        mark = Some(chunk.next);
        if chunk.end {
            spool.remove(chunk.next.segment, false).await;
            mark = None;
        }
    }
    (ids, lost)
}

pub(super) fn files(folder: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    found.sort();
    found
}

fn ids(events: &[ErrorEvent]) -> Vec<uuid::Uuid> {
    events.iter().map(|e| e.id).collect()
}

#[tokio::test]
async fn what_goes_in_comes_out_in_order_and_then_goes() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    let events: Vec<_> = (0..25).map(event).collect();
    append(&spool, &events[..10]).await.unwrap();
    append(&spool, &events[10..]).await.unwrap();
    let status = spool.status();
    assert_eq!(
        (status.events, status.segments, status.oldest),
        (25, 1, Some(from_epoch_ms(NOW)))
    );
    assert_eq!(
        status.bytes,
        fs::metadata(&files(folder.path(), "spool")[0]).unwrap().len()
    );
    assert_eq!(read_all(&spool, 7).await, (ids(&events), 0));
    assert!(spool.is_empty() && files(folder.path(), "spool").is_empty());
    assert_eq!(spool.status().bytes, 0);
}

#[tokio::test]
async fn reading_deletes_nothing_and_new_events_go_to_another_segment() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    append(&spool, &[event(0), event(1)]).await.unwrap();
    let first = spool.read(None, 1).await.unwrap();
    append(&spool, &[event(2)]).await.unwrap();
    assert_eq!((spool.status().events, spool.status().segments), (3, 2));
    // The same mark gives the same events however often it is read.
    for _ in 0..2 {
        let rest = spool.read(Some(first.next), 10).await.unwrap();
        assert_eq!((rest.events.len(), rest.end, rest.lost), (1, true, 0));
    }
    spool.remove(first.next.segment, false).await;
    assert_eq!(spool.status().events, 1);
}

#[tokio::test]
async fn another_process_finds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let events: Vec<_> = (0..6).map(event).collect();
    for pair in events.chunks(2) {
        let spool = Spool::open(folder.path(), PLENTY).unwrap();
        append(&spool, pair).await.unwrap();
    }
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    assert_eq!((spool.status().events, spool.status().segments), (6, 3));
    assert_eq!(read_all(&spool, 256).await, (ids(&events), 0));
}

#[tokio::test]
async fn a_file_that_ends_anywhere_gives_its_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    append(&Spool::open(folder.path(), PLENTY).unwrap(), &[event(0), event(1)])
        .await
        .unwrap();
    let bytes = fs::read(&files(folder.path(), "spool")[0]).unwrap();
    let record = (bytes.len() - 8) / 2;
    for cut in 0..bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("00000004.spool"), &bytes[..cut]).unwrap();
        let spool = Spool::open(folder.path(), PLENTY).unwrap();
        let status = spool.status();
        let whole = cut.saturating_sub(8) / record;
        assert_eq!((status.events, status.corrupt), (whole as u64, 0), "cut at {cut}");
        append(&spool, &[event(9)]).await.unwrap();
        assert_eq!(read_all(&spool, 10).await.0.len(), whole + 1, "cut at {cut}");
        assert!(files(folder.path(), "damaged").is_empty());
    }
}

#[tokio::test]
async fn damage_costs_one_event_and_keeps_the_file_aside() {
    let folder = tempfile::tempdir().unwrap();
    let events: Vec<_> = (0..3).map(event).collect();
    append(&Spool::open(folder.path(), PLENTY).unwrap(), &events)
        .await
        .unwrap();
    let path = &files(folder.path(), "spool")[0];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();

    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    assert_eq!((spool.status().events, spool.status().corrupt), (2, 1));
    assert_eq!(read_all(&spool, 10).await, (vec![events[0].id, events[2].id], 0));
    assert_eq!(
        (files(folder.path(), "damaged").len(), spool.status().kept_aside),
        (1, 1)
    );
    assert!(spool.is_empty());
}

#[tokio::test]
async fn rot_after_the_start_is_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    append(&spool, &[event(0), event(1), event(2)]).await.unwrap();
    let path = &files(folder.path(), "spool")[0];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    let (found, lost) = read_all(&spool, 1).await;
    assert_eq!((found.len(), lost), (2, 1));
    append(&spool, &[event(3)]).await.unwrap();
    let path = &files(folder.path(), "spool")[0];
    fs::remove_file(path).unwrap();
    assert_eq!(read_all(&spool, 1).await, (vec![], 1));
}

#[tokio::test]
async fn the_limit_refuses_and_removal_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 4000).unwrap();
    let mut taken = 0;
    while append(&spool, &[event(taken)]).await.is_ok() {
        taken += 1;
    }
    assert!(taken > 3);
    assert_eq!(append(&spool, &[event(99)]).await, Err(SpoolError::Full));
    let status = spool.status();
    assert!(status.bytes <= 4000 && status.events == taken as u64 && status.last_error.is_some());
    assert_eq!(read_all(&spool, 3).await.0.len(), taken);
    append(&spool, &[event(100)]).await.unwrap();
}

#[tokio::test]
async fn segments_are_closed_at_their_size_and_replayed_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    let big = "x".repeat(900_000);
    let mut all = Vec::new();
    for n in 0..20 {
        let json = format!(r#"{{"message":"{n}","details":"{big}"}}"#);
        let event = parse::event(&json, from_epoch_ms(NOW)).unwrap();
        append(&spool, std::slice::from_ref(&event)).await.unwrap();
        all.push(event.id);
    }
    assert_eq!(spool.status().segments, 2);
    assert_eq!(read_all(&spool, 6).await, (all, 0));
}

#[tokio::test]
async fn many_callers_share_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..64 {
        let spool = spool.clone();
        callers.spawn(async move { append(&spool, &[event(n)]).await });
    }
    while let Some(answer) = callers.join_next().await {
        answer.unwrap().unwrap();
    }
    spool.barrier().await;
    assert_eq!(spool.status().events, 64);
    let again = Spool::open(folder.path(), PLENTY).unwrap();
    assert_eq!(again.status().events, 64);
}

#[tokio::test]
async fn a_folder_that_went_away_is_made_again_unless_something_stands_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("spool");
    let spool = Spool::open(&inner, PLENTY).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    fs::write(&inner, "in the way").unwrap();
    assert_eq!(append(&spool, &[event(0)]).await, Err(SpoolError::Failed));
    let error = spool.status().last_error.unwrap();
    assert!(!error.contains(&*folder.path().to_string_lossy()), "{error}");
    fs::remove_file(&inner).unwrap();
    append(&spool, &[event(0)]).await.unwrap();
    assert_eq!(spool.status().events, 1);
}

#[tokio::test]
async fn nothing_is_accepted_into_a_segment_that_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    append(&spool, &[event(0)]).await.unwrap();
    fs::remove_file(&files(folder.path(), "spool")[0]).unwrap();
    assert_eq!(append(&spool, &[event(1)]).await, Err(SpoolError::Failed));
    let kept = [event(2)];
    append(&spool, &kept).await.unwrap();
    assert_eq!(read_all(&spool, 10).await, (ids(&kept), 1));
}

#[tokio::test]
async fn a_damaged_header_costs_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let events: Vec<_> = (0..3).map(event).collect();
    append(&Spool::open(folder.path(), PLENTY).unwrap(), &events)
        .await
        .unwrap();
    let path = &files(folder.path(), "spool")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
    fs::write(folder.path().join("00000007.spool"), "not a segment at all").unwrap();
    fs::write(folder.path().join("notes.txt"), "no segment either").unwrap();

    let spool = Spool::open(folder.path(), PLENTY).unwrap();
    assert_eq!((spool.status().events, spool.status().kept_aside), (3, 1));
    assert_eq!(read_all(&spool, 10).await, (ids(&events), 0));
    assert_eq!(
        (files(folder.path(), "damaged").len(), files(folder.path(), "txt").len()),
        (2, 1)
    );
}
