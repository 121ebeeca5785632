//! The walk over real rows, and which events leave after it.

use rusqlite::params;

use super::*;
use crate::events::retention::survey::Survey;
use crate::events::schema;

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

/// A file with rows of the columns that matter.
struct Rows(Connection);

impl Rows {
    fn new() -> Self {
        Self(schema::connection())
    }

    fn group(&self, id: i64, severity: Severity, status: Status) {
        self.0
            .execute(
                "INSERT INTO groups (id, title, type, severity, explanation, first_seen, last_seen, status)
                 VALUES (?1, '', 0, ?2, '', 0, 0, ?3)",
                params![id, severity.number(), status as i64],
            )
            .expect("a group");
    }

    fn event(&self, group: i64, at: i64, release: Option<&str>) {
        self.0
            .execute(
                "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message, release)
                 VALUES (?1, randomblob(16), 0, 0, 0, 0, 0, ?2, '', ?3)",
                params![at, group, release],
            )
            .expect("an event");
        if let Some(release) = release {
            let ms = crate::events::order::ms_of(at);
            self.0
                .execute(
                    "INSERT INTO group_releases VALUES (?1, ?2, ?3, ?3, 1)
                     ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen)",
                    params![group, release, ms],
                )
                .expect("a release");
        }
    }

    /// Group, place and rank of each event, in steps of so many entries.
    fn ranks(&self, most: usize) -> Vec<(i64, u16)> {
        let (mut walk, mut told) = (Walk::new(NOW), Vec::new());
        while walk.take(step(&self.0, walk.position(), most, NOW).expect("read"), |at, rank| {
            told.push((at, rank))
        }) {}
        told
    }

    fn random(seed: u64) -> Self {
        let (rows, mut random) = (Self::new(), fastrand::Rng::with_seed(seed));
        for group in 1..=random.i64(1..12) {
            let status = Status::ALL[random.usize(..3)];
            rows.group(group, Severity::ALL[random.usize(..4)], status);
            for _ in 0..random.u32(..90) {
                let ms = NOW - random.i64(..200 * HOUR);
                let release = ["1.0", "1.1", "2.0"][random.usize(..3)];
                let at = first_place(ms) + random.i64(..1 << 19);
                rows.event(group, at, random.bool().then_some(release));
            }
        }
        rows
    }
}

#[test]
fn every_event_is_told_once_and_the_same_however_the_steps_are_cut() {
    for seed in 0..20 {
        let rows = Rows::random(seed);
        let mut whole = rows.ranks(STEP);
        let count: i64 = rows
            .0
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .expect("counted");
        assert_eq!(whole.len(), usize::try_from(count).expect("small"));
        whole.sort_unstable();
        for most in [1, 2, 7, 50] {
            let mut cut = rows.ranks(most);
            cut.sort_unstable();
            assert_eq!(cut, whole, "seed {seed}, steps of {most}");
        }
    }
}

#[test]
fn samples_leave_after_duplicates_and_as_many_leave_as_are_wanted() {
    for seed in 100..140 {
        let rows = Rows::random(seed);
        let ranks = rows.ranks(64);
        let mut survey = Survey::default();
        ranks.iter().for_each(|(_, rank)| survey.add(*rank));
        let wanted = fastrand::Rng::with_seed(seed).u64(..=ranks.len() as u64);
        let mut choice = survey.choose(wanted);
        let (gone, kept): (Vec<_>, Vec<_>) = ranks.iter().partition(|(_, rank)| choice.takes(*rank));
        assert_eq!(gone.len() as u64, wanted);
        let worst_kept = kept.iter().map(|(_, rank)| Tier::of(*rank)).min();
        let best_gone = gone.iter().map(|(_, rank)| Tier::of(*rank)).max();
        if let (Some(kept), Some(gone)) = (worst_kept, best_gone) {
            assert!(gone <= kept, "a {gone:?} left while a {kept:?} stays");
        }
    }
}

#[test]
fn the_samples_are_the_first_the_latest_and_those_of_hours_and_releases() {
    let rows = Rows::new();
    rows.group(1, Severity::Medium, Status::Unresolved);
    let begin = NOW - NOW % (64 * HOUR) - 64 * HOUR;
    // Two hours of one event a minute, with another release for the last of them.
    for minute in 0..120 {
        let release = if minute < 90 { "1.0" } else { "1.1" };
        rows.event(1, first_place(begin + minute * 60_000), Some(release));
    }
    let tiers: Vec<(i64, Tier)> = rows
        .ranks(STEP)
        .into_iter()
        .map(|(at, rank)| (at, Tier::of(rank)))
        .collect();
    let place = |minute: i64| first_place(begin + minute * 60_000);
    let of = |tier: Tier| -> Vec<i64> { tiers.iter().filter(|(_, t)| *t == tier).map(|(at, _)| *at).collect() };
    assert_eq!(of(Tier::First), [place(0)]);
    assert_eq!(of(Tier::OfHour), [place(60)]);
    assert_eq!(of(Tier::OfRelease), [place(90)]);
    assert_eq!(of(Tier::Latest), (100..120).map(place).collect::<Vec<_>>());
    assert_eq!(of(Tier::Duplicate).len(), 97);
}

#[test]
fn a_step_reads_the_index_alone() {
    let rows = Rows::random(1);
    for sql in [REST_OF_GROUP, FURTHER_GROUPS] {
        let plan: Vec<String> = rows
            .0
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .and_then(|mut explain| {
                let count = explain.parameter_count();
                explain
                    .query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get(3))?
                    .collect()
            })
            .expect("explained");
        assert_eq!(plan.len(), 1, "{plan:?}");
        assert!(
            plan[0].starts_with("SEARCH events USING COVERING INDEX events_by_group"),
            "{plan:?}"
        );
    }
}
