//! What an event is worth (floor 2, pure): a number by which the least valuable leave first.
//!
//! An event tells little that its neighbours don't: what counts is how far it is from the one before it in its group. With
//! time cut into cells of 1, 2, 4 … ticks, an event is worth as many doublings as the largest cell that it is the first
//! of: so a storm keeps its outline at any pressure, and removing what is worth least changes the worth of nothing that
//! stays. To that are added the severity of its group and whether somebody still has to look at it; each doubling of its
//! age takes one away.
//!
//! What must stay true: the samples of a group go after all duplicates of all groups, in the order of [`Tier`]; ranks lie
//! below [`RANKS`], so that a table of that size counts any number of events. Called by the survey and the sweep.

use crate::events::life::Status;
use crate::events::model::Severity;
use crate::events::order::ms_of;

/// Ticks of an hour: 2 to the 12th, so that the cells of 12 doublings are hours.
const TICKS_AN_HOUR: i64 = 1 << HOUR_DOUBLINGS;
const HOUR_DOUBLINGS: u32 = 12;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Beyond 2^30 ticks, some thirty years, nothing is told apart.
const MOST_DOUBLINGS: u32 = 30;
/// An age of 2^12 days is as old as any.
const MOST_AGEING: u32 = 12;

/// Why an event is kept while others of its group leave; the last of them leave last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Another one of its group happened in its hour.
    Duplicate = 0,
    /// The first of its group in its hour.
    OfHour = 1,
    /// The first of its group in its release.
    OfRelease = 2,
    /// Among the latest of its group.
    Latest = 3,
    /// The first of its group.
    First = 4,
}

impl Tier {
    /// Every tier, the first to leave first.
    pub const ALL: [Tier; 5] = [
        Self::Duplicate,
        Self::OfHour,
        Self::OfRelease,
        Self::Latest,
        Self::First,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicates",
            Self::OfHour => "firstsOfHours",
            Self::OfRelease => "firstsOfReleases",
            Self::Latest => "latestOfGroups",
            Self::First => "firstsOfGroups",
        }
    }

    /// The tier of a rank.
    pub fn of(rank: u16) -> Self {
        Self::ALL[usize::from(rank / POINTS).min(Self::ALL.len() - 1)]
    }
}

/// Points within a tier.
const POINTS: u16 = 64;
/// Ranks there are.
pub const RANKS: usize = Tier::ALL.len() * POINTS as usize;

/// What the group says of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The worst severity of the group.
    pub severity: Severity,
    /// Whether somebody has to look at it.
    pub status: Status,
    /// The places of the first events of its releases, ascending.
    pub releases: Vec<i64>,
}

/// How many doublings lie between an event and the one before it in its group.
pub fn doublings(before: i64, at: i64) -> u32 {
    let tick = |place: i64| (ms_of(place) * TICKS_AN_HOUR).div_euclid(HOUR_MS);
    let apart = tick(before) ^ tick(at);
    (i64::BITS - apart.leading_zeros()).min(MOST_DOUBLINGS)
}

/// The rank of an event that is `before`'s next in its group; `None` before the first.
pub fn rank(before: Option<i64>, at: i64, facts: &Facts, now_ms: i64) -> u16 {
    let apart = before.map(|before| doublings(before, at));
    let tier = match apart {
        None => Tier::First,
        Some(_) if facts.releases.binary_search(&at).is_ok() => Tier::OfRelease,
        Some(apart) if apart > HOUR_DOUBLINGS => Tier::OfHour,
        Some(_) => Tier::Duplicate,
    };
    let severity = match facts.severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 4,
    };
    let status = match facts.status {
        Status::Unresolved => 3,
        Status::Resolved => 1,
        Status::Muted => 0,
    };
    let days = now_ms.saturating_sub(ms_of(at)).max(0) / DAY_MS;
    let ageing = (i64::BITS - days.leading_zeros()).min(MOST_AGEING);
    let points = apart.unwrap_or(MOST_DOUBLINGS) + severity + status + MOST_AGEING - ageing;
    in_tier(tier, u16::try_from(points).unwrap_or(POINTS - 1))
}

/// The same event in a tier that leaves later.
pub fn at_least(rank: u16, tier: Tier) -> u16 {
    if Tier::of(rank) >= tier {
        rank
    } else {
        in_tier(tier, rank % POINTS)
    }
}

const fn in_tier(tier: Tier, points: u16) -> u16 {
    let points = if points < POINTS { points } else { POINTS - 1 };
    tier as u16 * POINTS + points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::order::first_place;

    const NOW: i64 = 1_800_000_000_000;
    /// The beginning of an hour that is the beginning of larger cells too.
    const HOUR: i64 = NOW - NOW % (64 * HOUR_MS);

    fn facts(severity: Severity, status: Status) -> Facts {
        Facts {
            severity,
            status,
            releases: Vec::new(),
        }
    }

    fn of(before_ms: i64, ms: i64, facts: &Facts) -> u16 {
        rank(Some(first_place(before_ms)), first_place(ms), facts, NOW)
    }

    #[test]
    fn the_first_of_an_hour_outlives_every_duplicate() {
        let (mild, bad) = (
            facts(Severity::Low, Status::Muted),
            facts(Severity::Critical, Status::Unresolved),
        );
        let duplicate = of(HOUR + 1, HOUR + HOUR_MS - 1, &bad);
        let sample = of(HOUR + HOUR_MS - 1, HOUR + HOUR_MS, &mild);
        assert_eq!((Tier::of(duplicate), Tier::of(sample)), (Tier::Duplicate, Tier::OfHour));
        assert!(duplicate < sample);
        assert!(sample < rank(None, first_place(HOUR - 1), &mild, NOW));
        let of_release = Facts {
            releases: vec![first_place(HOUR)],
            ..mild
        };
        let kept = of(HOUR - 1, HOUR, &of_release);
        assert_eq!(Tier::of(kept), Tier::OfRelease);
    }

    #[test]
    fn closer_older_milder_and_settled_leave_first() {
        let usual = facts(Severity::Medium, Status::Unresolved);
        let base = of(HOUR + 60_000, HOUR + 120_000, &usual);
        assert!(of(HOUR + 119_999, HOUR + 120_000, &usual) < base);
        let month = 30 * DAY_MS - (30 * DAY_MS) % (64 * HOUR_MS);
        assert!(of(HOUR - month + 60_000, HOUR - month + 120_000, &usual) < base);
        let others = [
            facts(Severity::Low, Status::Unresolved),
            facts(Severity::Medium, Status::Resolved),
            facts(Severity::Medium, Status::Muted),
        ];
        for other in &others {
            assert!(of(HOUR + 60_000, HOUR + 120_000, other) < base, "{other:?}");
        }
        assert!(
            of(
                HOUR + 60_000,
                HOUR + 120_000,
                &facts(Severity::Critical, Status::Unresolved)
            ) > base
        );
    }

    #[test]
    fn what_stays_is_worth_as_much_after_others_left() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut times: Vec<i64> = (0..100).map(|_| HOUR - random.i64(..3 * DAY_MS)).collect();
            times.sort_unstable();
            let level = random.u32(..=HOUR_DOUBLINGS + 3);
            let worth = |times: &[i64]| -> Vec<(i64, u32)> {
                let of = |pair: &[i64]| (pair[1], doublings(first_place(pair[0]), first_place(pair[1])));
                times.windows(2).map(of).collect()
            };
            let before: Vec<_> = worth(&times).into_iter().filter(|(_, worth)| *worth > level).collect();
            let left: Vec<i64> = times[..1]
                .iter()
                .copied()
                .chain(before.iter().map(|(ms, _)| *ms))
                .collect();
            assert_eq!(worth(&left), before);
        }
    }

    #[test]
    fn every_rank_has_its_place_in_the_table() {
        let far = [i64::MIN, -1, 0, first_place(NOW), i64::MAX];
        for before in far {
            for at in far {
                for severity in Severity::ALL {
                    for status in Status::ALL {
                        let facts = facts(severity, status);
                        for found in [rank(Some(before), at, &facts, NOW), rank(None, at, &facts, NOW)] {
                            assert!(usize::from(found) < RANKS);
                            assert!(Tier::of(at_least(found, Tier::Latest)) >= Tier::Latest);
                        }
                    }
                }
            }
        }
    }
}
