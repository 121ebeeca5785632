//! Tests of the limits by source: how much, how soon again, and how little memory.

use super::*;

fn shop() -> Reporter<'static> {
    Reporter::Source {
        name: "shop",
        per_minute: None,
    }
}

fn taken(limits: &Limits, reporter: Reporter<'_>, named: Option<&str>, times: usize, now: Instant) -> usize {
    (0..times).filter(|_| limits.take(reporter, named, now).is_ok()).count()
}

#[test]
fn a_minutes_worth_at_once_and_then_as_many_a_minute() {
    let start = Instant::now();
    let limits = Limits::new(600, start);
    assert_eq!(taken(&limits, shop(), None, 1000, start), 600);
    let refusal = limits.take(shop(), None, start).unwrap_err();
    assert_eq!((refusal.retry_after, refusal.per_minute), (Duration::from_secs(6), 600));
    // Whoever comes back then finds room for a tenth.
    let later = start + refusal.retry_after;
    assert_eq!(taken(&limits, shop(), None, 1000, later), 60);
    assert_eq!(taken(&limits, shop(), None, 1000, later + Duration::from_secs(60)), 600);
    assert_eq!(limits.refused()["shop"], 400 + 1 + 940 + 400);
}

#[test]
fn sources_do_not_starve_each_other_and_claimed_names_drain_no_proven_one() {
    let now = Instant::now();
    let limits = Limits::new(10, now);
    assert_eq!(taken(&limits, Reporter::Declared, Some("shop"), 50, now), 10);
    assert_eq!(taken(&limits, Reporter::Declared, Some("other"), 50, now), 10);
    assert_eq!(taken(&limits, shop(), None, 50, now), 10);
    let own = Reporter::Source {
        name: "large",
        per_minute: Some(40),
    };
    assert_eq!(taken(&limits, own, Some("ignored"), 50, now), 40);
}

#[test]
fn made_up_names_are_held_together_and_take_no_more_memory() {
    let now = Instant::now();
    let limits = Limits::new(10, now);
    let made_up = |number: usize| limits.take(Reporter::Declared, Some(&format!("name {number}")), now);
    assert_eq!((0..10_000).filter(|number| made_up(*number).is_ok()).count(), 100);
    // Proven ones, of which there can't be that many, are told apart up to a bound.
    for number in 0..3 * MOST_SOURCES {
        let name = format!("source {number}");
        let _ = limits.take(
            Reporter::Source {
                name: &name,
                per_minute: None,
            },
            None,
            now,
        );
    }
    assert!(limits.buckets.lock().due.len() <= MOST_SOURCES + 1);
    assert!(limits.refused().len() < 64);
    // Once they are idle they are forgotten, and a new one has a bucket of its own again.
    let later = now + Duration::from_secs(120);
    assert_eq!(taken(&limits, shop(), None, 50, later), 10);
    assert!(limits.buckets.lock().due.len() < 10);
}

#[test]
fn a_limit_of_as_good_as_none_refuses_nothing() {
    let now = Instant::now();
    let limits = Limits::new(1_000_000_000, now);
    assert_eq!(taken(&limits, Reporter::Declared, None, 100_000, now), 100_000);
    let own = Gcra::new(2, now);
    assert_eq!([own.take(now), own.take(now), own.take(now)], [true, true, false]);
    assert!(own.take(now + Duration::from_secs(30)));
}
