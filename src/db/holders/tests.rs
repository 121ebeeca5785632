//! Locks of this process, looked at as a stranger's would be; another process holds them in `tests/contention.rs`.

use rusqlite::Connection;

use super::*;

fn holder(pid: Option<u32>, command: Option<&str>, held_ms: u64) -> LockHolder {
    LockHolder {
        pid,
        command: command.map(str::to_owned),
        ours: false,
        lock: Lock::Write,
        held_ms,
    }
}

#[test]
fn a_holder_is_told_in_words_that_claim_no_more_than_was_seen() {
    let named = holder(Some(4242), Some("my tool"), 3900).sentence();
    assert_eq!(named, "the write lock is held by my tool (pid 4242) for at least 3 s");
    let fresh = holder(Some(7), None, 0).sentence();
    assert_eq!(fresh, "the write lock is held by process 7");
    let hidden = holder(None, None, 120).sentence();
    assert_eq!(
        hidden,
        "the write lock is held by a process that the system does not name for at least 120 ms"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_lock_of_our_own_is_known_as_ours_and_gone_when_released() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    let connection = Connection::open(&path).expect("opens");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); BEGIN IMMEDIATE")
        .expect("locked");
    let holders = Holders::new(&path);
    holders.look(Duration::ZERO);
    let held = holders.in_the_way(true).expect("it is seen");
    assert!(held.ours && held.lock == Lock::Write, "{held:?}");
    assert!(held.sentence().contains("this process itself"), "{held:?}");
    assert_eq!(holders.in_the_way(false), None, "a write lock keeps no reader out");
    connection.execute_batch("ROLLBACK").expect("released");
    holders.look(Duration::ZERO);
    assert_eq!(holders.in_the_way(true), None);
    connection
        .execute_batch("BEGIN; SELECT * FROM sqlite_schema")
        .expect("reads");
    holders.look(Duration::ZERO);
    assert_eq!(holders.all().iter().map(|h| h.lock).collect::<Vec<_>>(), [Lock::Read]);
}

#[test]
fn the_time_counts_from_the_first_look_and_only_without_a_break() {
    let mut seen = Seen::default();
    let start = Instant::now();
    let locked = || vec![(Some(u32::MAX), Lock::Write)];
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let held_at = |seen: &Seen, seconds: f64| seen.held[0].shown(at(seconds), None).held_ms;
    seen.take_in(locked(), start);
    seen.take_in(locked(), at(1.0));
    assert_eq!(held_at(&seen, 2.0), 2000);
    seen.take_in(vec![], at(2.0));
    seen.take_in(locked(), at(2.5));
    assert_eq!(held_at(&seen, 3.0), 500);
    seen.take_in(locked(), at(10.0));
    assert_eq!(held_at(&seen, 10.0), 0, "nobody looked for seven seconds");
}

#[test]
fn a_recovery_is_timed_over_attempts_that_follow_each_other() {
    let folder = tempfile::tempdir().expect("folder");
    let holders = Holders::new(&folder.path().join("a.db"));
    assert_eq!(holders.recovering().held_ms, 0);
    let earlier = Instant::now().checked_sub(Duration::from_secs(31)).expect("since boot");
    let now = Instant::now();
    holders.seen.lock().recovery = Some((earlier, now));
    assert!(holders.recovering().held_ms >= 31_000);
    holders.seen.lock().recovery = Some((earlier, earlier));
    assert_eq!(holders.recovering().held_ms, 0);
}
