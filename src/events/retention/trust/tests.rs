//! What is believed of the time, whatever the clocks do.

use super::*;

const NOW: i64 = 1_750_000_000_000;
const JUMP: i64 = 9 * DAY_MS;
const YEARS: i64 = 12 * 365 * DAY_MS;
const LOOK_MS: i64 = 10_000;

/// Looks for so long, while the wall clock goes on from `wall_ms`; the last belief and the last wall time.
fn looked(mut trust: Trust, wall_ms: i64, for_ms: i64) -> (Trust, i64) {
    let steps = for_ms / LOOK_MS;
    for step in 1..=steps {
        trust = trust.after(LOOK_MS, wall_ms + step * LOOK_MS, JUMP);
    }
    (trust, wall_ms + steps * LOOK_MS)
}

#[test]
fn a_clock_that_goes_on_or_jumps_a_little_is_believed() {
    let (trust, wall) = looked(Trust::new(NOW), NOW, DAY_MS);
    assert_eq!(trust, Trust::new(wall));
    for jump in [3 * DAY_MS, -3 * DAY_MS] {
        assert_eq!(trust.after(0, wall + jump, JUMP), Trust::new(wall + jump), "{jump}");
    }
}

#[test]
fn a_clock_far_ahead_is_believed_after_a_day_of_running_and_not_before() {
    let (trust, wall) = looked(Trust::new(NOW), NOW + YEARS, DAY_MS - LOOK_MS);
    let seen = trust.status();
    assert_eq!(seen.believed_ms, NOW + DAY_MS - LOOK_MS, "time goes on meanwhile");
    assert_eq!(seen.ahead_ms, YEARS);
    assert!(
        seen.problem(true)
            .is_some_and(|problem| problem.contains("12 years ahead"))
    );
    assert_eq!(seen.problem(false), None, "nothing is kept because of it");
    let (trust, wall) = looked(trust, wall, 2 * LOOK_MS);
    assert_eq!(trust, Trust::new(wall));
}

#[test]
fn one_that_is_mended_is_believed_at_once_and_the_wrong_one_is_forgotten() {
    let (trust, _) = looked(Trust::new(NOW), NOW + YEARS, DAY_MS / 2);
    let (trust, wall) = looked(trust, NOW + DAY_MS / 2, LOOK_MS);
    assert_eq!(trust, Trust::new(wall));
    let (trust, _) = looked(trust, wall + YEARS, DAY_MS / 2);
    assert!(trust.status().ahead_ms > 0, "two halves of wrong days are no day");
}

#[test]
fn a_clock_behind_makes_nothing_older_and_what_was_known_is_kept() {
    let (trust, wall) = looked(Trust::new(NOW), 0, DAY_MS / 2);
    assert_eq!(
        trust.status().believed_ms,
        wall,
        "nothing is too old by the time that is known alone"
    );
    assert!(trust.status().ahead_ms < 0);
    assert!(
        trust
            .status()
            .problem(false)
            .is_some_and(|problem| problem.contains("behind"))
    );
    assert_eq!(trust.after(0, NOW + DAY_MS, JUMP), Trust::new(NOW + DAY_MS));
}

#[test]
fn a_clock_that_jumps_about_is_never_believed() {
    let mut trust = Trust::new(NOW);
    for step in 1..=3 * DAY_MS / LOOK_MS {
        trust = trust.after(LOOK_MS, NOW + YEARS + (step % 2) * 20 * DAY_MS, JUMP);
    }
    assert_eq!(trust.status().believed_ms, NOW + 3 * DAY_MS);
}

#[test]
fn a_restart_keeps_what_is_believed_and_how_long_the_doubted_was_consistent() {
    let c = crate::events::schema::connection();
    assert_eq!(Trust::load(&c).expect("read"), None);
    let (trust, wall) = looked(Trust::new(NOW), NOW + YEARS, DAY_MS / 2);
    trust.keep(&c).expect("kept");
    let kept = Trust::load(&c).expect("read").expect("there");
    assert_eq!(kept, trust);
    let begun = kept.after(0, wall + 5 * DAY_MS, JUMP);
    assert_eq!(
        begun.status().believed_ms,
        NOW + DAY_MS / 2,
        "a night that it was off proves nothing"
    );
    let (trust, wall) = looked(begun, wall + 5 * DAY_MS, DAY_MS / 2 + LOOK_MS);
    assert_eq!(trust, Trust::new(wall), "the two halves are a day");
    trust.keep(&c).expect("kept");
    assert_eq!(Trust::load(&c).expect("read"), Some(trust));
}

#[test]
fn numbers_at_their_ends_do_not_overflow() {
    for at in [i64::MIN, 0, i64::MAX] {
        for wall in [i64::MIN, 0, i64::MAX] {
            let seen = Trust::new(at).after(i64::MAX, wall, JUMP).status();
            assert!(seen.believed_ms <= wall);
        }
    }
}
