use std::fs;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::config::BreakerSettings;
use crate::db::breaker::{Cause, Outcome};
use crate::db::observe::Unobserved;

/// A database's two breakers, and what they were told to keep.
struct Kit {
    clock: Arc<ManualClock>,
    read: Arc<Breaker>,
    write: Arc<Breaker>,
    kept: KeptStates,
}

fn start(folder: &Path, wall_ms: i64) -> Kit {
    let clock = Arc::new(ManualClock::starting_at(from_epoch_ms(wall_ms)));
    let make = |name: &str| {
        Breaker::new(
            name.into(),
            BreakerSettings::default(),
            clock.clone(),
            Arc::new(Unobserved),
        )
    };
    let (read, write) = (make("app.read"), make("app.write"));
    let kept = KeptStates::restore(&folder.join("app.db"), &[&read, &write]);
    Kit {
        clock,
        read,
        write,
        kept,
    }
}

impl Kit {
    fn keep(&self) {
        let both = [&self.read, &self.write];
        assert!(self.kept.is_due(&both));
        self.kept.keep(&both);
        assert!(!self.kept.is_due(&both));
    }
}

fn trip(breaker: &Arc<Breaker>) {
    let cause = Cause {
        text: "disk full".into(),
        told: Told::ReadOnly,
    };
    breaker
        .acquire(1, None)
        .expect("permitted")
        .settle(Outcome::Trip { cause });
}

const HOUR: i64 = 3_600_000;

#[test]
fn nothing_is_written_while_all_is_closed_and_the_file_goes_when_it_is_again() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), HOUR);
    let file = folder.path().join("app.db-breakers.json");
    kit.kept.keep(&[&kit.read, &kit.write]);
    assert!(!file.exists());
    kit.read.force_open(None, "drill", None);
    kit.keep();
    assert!(file.exists());
    kit.read.reset("reset", None);
    kit.keep();
    assert!(!file.exists());
}

#[test]
fn an_open_breaker_goes_on_with_its_time_cause_and_escalation() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), HOUR);
    trip(&kit.write);
    for _ in 0..3 {
        kit.clock.advance(kit.write.status().retry_after.expect("open"));
        trip(&kit.write);
    }
    kit.keep();
    let before = kit.write.status();
    let left = before.retry_after.expect("open");
    let next = start(folder.path(), epoch_ms(kit.clock.wall()) + 10_000);
    let after = next.write.status();
    assert_eq!((after.state, after.cause.as_str()), ("OPEN", "disk full"));
    // Stored to the millisecond.
    assert_eq!(epoch_ms(after.since), epoch_ms(before.since));
    assert_eq!(after.opened_at, before.opened_at);
    let shorter = left - after.retry_after.expect("open");
    assert!(
        shorter >= Duration::from_secs(10) && shorter < Duration::from_millis(10_002),
        "{shorter:?}"
    );
    assert_eq!(next.write.peek().expect_err("open").cause.told, Told::ReadOnly);
    assert_eq!(next.read.status().state, "CLOSED");
    next.clock.advance(left);
    trip(&next.write);
    // 30 s × 1.5⁴ ± 10 %
    assert!(next.write.status().retry_after.expect("open") > Duration::from_secs(136));
}

#[test]
fn a_hold_outlasts_the_restart_until_it_is_lifted() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), HOUR);
    kit.write.hold(true);
    trip(&kit.write);
    kit.keep();
    let next = start(folder.path(), HOUR);
    assert!(next.write.is_held() && !next.read.is_held());
    next.clock.advance(MOST_OPEN);
    assert!(next.write.peek().is_err(), "time alone doesn't end it");
    next.write.hold(false);
    next.keep();
    assert!(!start(folder.path(), HOUR).write.is_held(), "lifted is lifted");
    assert!(next.write.peek().is_ok());
}

#[test]
fn a_jump_of_the_wall_clock_extends_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), 100 * HOUR);
    trip(&kit.write);
    kit.read.force_open(Some(Duration::from_secs(600)), "drill", None);
    let left = kit.write.status().retry_after;
    kit.keep();
    let back = start(folder.path(), HOUR);
    assert!(back.write.status().retry_after <= left);
    assert_eq!(back.read.status().retry_after, Some(Duration::from_secs(600)));
    let ahead = start(folder.path(), 1000 * HOUR);
    assert_eq!(ahead.read.status().state, "CLOSED", "its time is over");
    assert!(ahead.write.peek().is_ok(), "a probe is due");
}

#[test]
fn an_isolation_and_what_a_hand_set_before_it_stay() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), HOUR);
    kit.read.disable(None, "test", None);
    kit.read.isolate("CORRUPT");
    kit.write.isolate("CORRUPT");
    kit.keep();
    let next = start(folder.path(), 2 * HOUR);
    assert_eq!(next.read.status().state, "ISOLATED");
    assert!(!next.write.reset("by hand", None));
    next.read.verified();
    next.write.verified();
    assert_eq!(
        (next.read.status().state, next.write.status().state),
        ("DISABLED", "CLOSED")
    );
    assert_eq!(next.read.status().cause, "test");
}

#[test]
fn a_probe_on_its_way_is_asked_for_again() {
    let folder = tempfile::tempdir().expect("folder");
    let kit = start(folder.path(), HOUR);
    trip(&kit.write);
    kit.clock.advance(Duration::from_secs(60));
    let _probe = kit.write.acquire(1, None).expect("probe");
    kit.keep();
    let next = start(folder.path(), epoch_ms(kit.clock.wall()));
    assert_eq!(next.write.status().state, "OPEN");
    assert!(next.write.peek().is_ok());
}

#[test]
fn a_file_that_is_not_ours_is_ignored_and_later_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("app.db-breakers.json");
    let foreign = [
        "",
        "{",
        "[]",
        "null",
        r#"{"format":"other"}"#,
        r#"{"format":"mainstay circuit breakers","version":9,"savedAtMs":0,"breakers":[]}"#,
        r#"{"format":"mainstay circuit breakers","version":1,"savedAtMs":0,"breakers":[{"name":"app.read","state":"X"}]}"#,
    ];
    for text in foreign {
        fs::write(&file, text).expect("written");
        let kit = start(folder.path(), HOUR);
        assert_eq!(kit.read.status().state, "CLOSED", "{text}");
        assert_eq!(fs::read_to_string(&file).expect("untouched"), text);
        kit.read.force_open(None, "drill", None);
        kit.keep();
        assert_eq!(start(folder.path(), HOUR).read.status().state, "FORCED_OPEN");
    }
}

#[test]
fn what_cannot_be_written_is_tried_again() {
    let folder = tempfile::tempdir().expect("folder");
    let inside = folder.path().join("gone");
    fs::create_dir(&inside).expect("made");
    let kit = start(&inside, HOUR);
    fs::remove_dir(&inside).expect("removed");
    kit.read.force_open(None, "drill", None);
    let both = [&kit.read, &kit.write];
    kit.kept.keep(&both);
    assert!(kit.kept.is_due(&both));
    fs::create_dir(&inside).expect("made");
    kit.keep();
    assert_eq!(start(&inside, HOUR).read.status().state, "FORCED_OPEN");
}
