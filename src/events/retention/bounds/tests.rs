use super::*;

const NOW: i64 = 1_800_000_000_000;
const MIB: u64 = 1 << 20;

const BOUNDS: Bounds = Bounds {
    max_age: Some(Duration::from_secs(10 * 86_400)),
    max_count: Some(1000),
    max_bytes: Some(100 * MIB),
    max_disk_percent: Some(20),
};

fn space(free: u64) -> Option<Space> {
    Some(Space {
        free_bytes: free,
        total_bytes: 10_000 * MIB,
        free_inodes: None,
        total_inodes: 0,
    })
}

fn fine() -> Measure {
    Measure {
        events: 1000,
        occurrences: 1000,
        oldest_ms: Some(NOW - 10 * 86_400_000),
        used_bytes: 100 * MIB,
        free_bytes: 0,
        gives_back: true,
        space: space(5000 * MIB),
    }
}

#[test]
fn nothing_leaves_at_a_bound_and_a_little_more_than_the_surplus_above_it() {
    assert_eq!(BOUNDS.need(&fine(), NOW), None);
    let many = Measure { events: 1001, ..fine() };
    assert_eq!(BOUNDS.need(&many, NOW), Some(Need::Events(Reason::Count, 51)));
    let few = Bounds {
        max_count: Some(3),
        ..Bounds::default()
    };
    assert_eq!(
        few.need(&Measure { events: 4, ..fine() }, NOW),
        Some(Need::Events(Reason::Count, 1))
    );
    let large = Measure {
        used_bytes: 101 * MIB,
        ..fine()
    };
    let Some(Need::Events(Reason::Bytes, count)) = BOUNDS.need(&large, NOW) else {
        panic!("too large")
    };
    assert!((59..=61).contains(&count), "6 of 101 MiB: {count}");
    let old = Measure {
        oldest_ms: Some(NOW - 10 * 86_400_000 - 1),
        ..many
    };
    assert_eq!(
        BOUNDS.need(&old, NOW),
        Some(Need::Before(NOW - 10 * 86_400_000)),
        "age first"
    );
}

#[test]
fn the_smaller_budget_counts_and_no_bound_asks_for_nothing() {
    assert_eq!(BOUNDS.budget(space(0)), Some(100 * MIB));
    let share = Bounds {
        max_bytes: None,
        ..BOUNDS
    };
    assert_eq!(share.budget(space(0)), Some(2000 * MIB));
    assert_eq!(share.budget(None), None, "a disk of unknown size bounds nothing");
    let off = RetentionSettings {
        max_days: 0,
        max_count: 0,
        max_bytes: 0,
        max_disk_percent: 0,
    };
    let off = Bounds::from(&off);
    assert_eq!(off, Bounds::default());
    let huge = Measure {
        events: u64::MAX,
        oldest_ms: Some(i64::MIN),
        used_bytes: u64::MAX,
        ..fine()
    };
    assert_eq!(off.need(&huge, NOW), None);
    assert_eq!(
        Bounds::from(&RetentionSettings::default()).cutoff_ms(NOW),
        Some(NOW - 90 * 86_400_000)
    );
}

#[test]
fn a_low_disk_takes_more_but_leaves_a_quarter_of_the_budget() {
    let low = |free: u64, used: u64| Measure {
        used_bytes: used * MIB,
        space: space(free * MIB),
        ..fine()
    };
    // 256 MiB is little, and 320 are wanted.
    assert_eq!(BOUNDS.need(&low(256, 90), NOW), None);
    assert_eq!(low(255, 90).lacking_bytes(), 65 * MIB);
    assert_eq!(BOUNDS.wanted_for_disk(&low(255, 90)), 65 * MIB);
    assert_eq!(BOUNDS.wanted_for_disk(&low(255, 80)), 55 * MIB, "25 MiB stay");
    assert_eq!(BOUNDS.wanted_for_disk(&low(1, 90)), 65 * MIB, "25 MiB stay");
    assert_eq!(BOUNDS.wanted_for_disk(&low(1, 20)), 0, "below the floor nothing leaves");
    assert!(matches!(
        BOUNDS.need(&low(1, 90), NOW),
        Some(Need::Events(Reason::Disk, _))
    ));
    let free_within = Measure {
        free_bytes: 65 * MIB,
        ..low(255, 90)
    };
    assert_eq!(BOUNDS.need(&free_within, NOW), None, "giving back is enough");
    let rigid = Measure {
        gives_back: false,
        ..low(1, 90)
    };
    assert_eq!(BOUNDS.need(&rigid, NOW), None, "it would free nothing");
}

#[test]
fn a_need_is_met_in_the_end_whatever_an_event_takes() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let bounds = Bounds {
            max_count: (random.bool()).then(|| random.u64(1..2000)),
            max_bytes: (random.bool()).then(|| random.u64(1..200) * MIB),
            ..Bounds::default()
        };
        let fixed = random.u64(..64 << 10);
        let mut events = random.u64(..5000);
        let each = random.u64(100..100_000);
        for round in 0.. {
            let measure = Measure {
                events,
                used_bytes: fixed + events * each,
                ..fine()
            };
            let Some(need) = bounds.need(&measure, NOW) else { break };
            let Need::Events(_, count) = need else { panic!("no age") };
            assert!(count > 0 && count <= events);
            events -= count;
            assert!(round < 20, "it converges");
        }
        assert!(bounds.max_count.is_none_or(|most| events <= most));
        assert!(bounds.max_bytes.is_none_or(|most| fixed + events * each <= most));
    }
}
