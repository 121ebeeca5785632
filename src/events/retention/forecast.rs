//! How many days the disk will last (floor 2, pure): from what was in use on it over the last days.
//!
//! The pace is the median of the paces between all pairs of samples (Theil and Sen), which a day of importing or one
//! cleaning doesn't move. events.db grows until its budget and then no more; everything else on the file system goes on as
//! it did. What must stay true: no guess before [`ENOUGH_MS`] of observation; what doesn't grow never fills a disk.

use std::collections::VecDeque;

use serde::Serialize;

/// Shorter observation says nothing.
const ENOUGH_MS: i64 = 600_000;
/// With so many hours known, minutes say nothing more.
const ENOUGH_HOURS: usize = 6;
/// Two weeks.
pub const HOURS_KEPT: usize = 14 * 24;
const MINUTES_KEPT: usize = 6 * 60;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: f64 = 86_400_000.0;

/// What was in use at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Bytes of events.db and its log.
    pub events: u64,
    /// Bytes of everything else on the file system.
    pub others: u64,
}

/// The samples of the last hours and minutes.
#[derive(Debug, Default)]
pub struct Samples {
    hours: VecDeque<Sample>,
    minutes: VecDeque<Sample>,
}

/// What is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// How long it was observed, in hours.
    pub observed_hours: f64,
    /// By how many bytes events.db grows in a day.
    pub events_bytes_per_day: f64,
    /// By how many everything else does.
    pub other_bytes_per_day: f64,
    /// Days until the disk is full; `None` when that never comes at this pace.
    pub days_until_full: Option<f64>,
    /// Days until events.db is as large as it may be, and stays so; `None` when that never comes.
    pub days_until_bound: Option<f64>,
}

impl Samples {
    /// With what was kept of the last hours, in order.
    pub fn remember(&mut self, hours: Vec<Sample>) {
        self.hours = hours.into();
    }

    /// Takes a sample, unless one of this minute is there; whether it is the first of its hour.
    pub fn add(&mut self, sample: Sample) -> bool {
        let is_new = |of: &VecDeque<Sample>, span: i64| {
            let last = of.back().map(|last| last.at_ms.div_euclid(span));
            last.is_none_or(|last| last < sample.at_ms.div_euclid(span))
        };
        if is_new(&self.minutes, MINUTE_MS) {
            push(&mut self.minutes, sample, MINUTES_KEPT);
        }
        let begins_hour = is_new(&self.hours, HOUR_MS);
        if begins_hour {
            push(&mut self.hours, sample, HOURS_KEPT);
        }
        begins_hour
    }

    /// What is to be expected with so many bytes free on the disk, and room for so many more in the budget of events.db.
    pub fn forecast(&self, free: u64, room: Option<u64>) -> Option<Forecast> {
        let samples = if self.hours.len() < ENOUGH_HOURS {
            &self.minutes
        } else {
            &self.hours
        };
        let observed = samples.back()?.at_ms - samples.front()?.at_ms;
        if observed < ENOUGH_MS {
            return None;
        }
        let (events, others) = (pace(samples, |s| s.events), pace(samples, |s| s.others));
        let days_until_bound = room.filter(|_| events > 0.0).map(|room| room as f64 / events);
        Some(Forecast {
            observed_hours: rounded(observed as f64 / HOUR_MS as f64),
            events_bytes_per_day: events.round(),
            other_bytes_per_day: others.round(),
            days_until_full: until_full(free as f64, events.max(0.0), others, days_until_bound).map(rounded),
            days_until_bound: days_until_bound.map(rounded),
        })
    }
}

fn push(to: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    to.push_back(sample);
    while to.len() > most {
        to.pop_front();
    }
}

fn rounded(days: f64) -> f64 {
    (days * 10.0).round() / 10.0
}

/// Both grow until events.db no longer does.
fn until_full(free: f64, events: f64, others: f64, until_bound: Option<f64>) -> Option<f64> {
    let together = events + others;
    let steady_after = until_bound.unwrap_or(if events > 0.0 { f64::INFINITY } else { 0.0 });
    if together > 0.0 && free / together <= steady_after {
        return Some(free / together);
    }
    let left = if steady_after.is_finite() {
        free - together * steady_after
    } else {
        return None;
    };
    (others > 0.0).then(|| steady_after + left / others)
}

/// The median of the paces of all pairs, in bytes a day.
fn pace(samples: &VecDeque<Sample>, of: impl Fn(&Sample) -> u64) -> f64 {
    let mut paces = Vec::with_capacity(samples.len() * samples.len() / 2);
    for (number, later) in samples.iter().enumerate() {
        for earlier in samples
            .iter()
            .take(number)
            .filter(|earlier| earlier.at_ms < later.at_ms)
        {
            let grown = of(later) as f64 - of(earlier) as f64;
            paces.push(grown / (later.at_ms - earlier.at_ms) as f64 * DAY_MS);
        }
    }
    let middle = paces.len() / 2;
    if paces.is_empty() {
        return 0.0;
    }
    *paces.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn samples(count: i64, events: impl Fn(i64) -> u64, others: impl Fn(i64) -> u64) -> Samples {
        let mut samples = Samples::default();
        for hour in 0..count {
            samples.add(Sample {
                at_ms: hour * HOUR_MS,
                events: events(hour),
                others: others(hour),
            });
        }
        samples
    }

    #[test]
    fn the_usual_pace_is_carried_on_whatever_one_hour_did() {
        let import = |hour: i64| hour as u64 * 1000 + u64::from(hour >= 40) * 50_000_000;
        let found = samples(48, import, |_| 5).forecast(2_400_000, None).expect("known");
        assert!((found.events_bytes_per_day - 24_000.0).abs() < 1.0, "{found:?}");
        assert_eq!(found.days_until_full, Some(100.0));
        assert_eq!(found.days_until_bound, None);
    }

    #[test]
    fn nothing_is_guessed_at_first() {
        let mut samples = Samples::default();
        let at = |minute: i64| Sample {
            at_ms: minute * MINUTE_MS,
            events: minute as u64 * 1000,
            others: 0,
        };
        for minute in 0..10 {
            samples.add(at(minute));
        }
        assert_eq!(samples.forecast(1000, None), None);
        samples.add(at(10));
        let found = samples.forecast(1_440_000, None).expect("ten minutes are something");
        assert_eq!(found.days_until_full, Some(1.0));
    }

    #[test]
    fn a_bounded_log_never_fills_the_disk_alone() {
        let grows = samples(48, |hour| hour as u64 * 1000, |_| 7);
        let found = grows.forecast(240_000, Some(48_000)).expect("known");
        assert_eq!((found.days_until_full, found.days_until_bound), (None, Some(2.0)));
        let narrow = grows.forecast(24_000, Some(48_000)).expect("known");
        assert_eq!(narrow.days_until_full, Some(1.0), "the disk comes before the bound");
        let both = samples(48, |hour| hour as u64 * 1000, |hour| hour as u64 * 500);
        let found = both.forecast(96_000, Some(24_000)).expect("known");
        assert_eq!(
            found.days_until_full,
            Some(6.0),
            "a day of both, and then five of the others"
        );
        let shrinks = samples(48, |hour| 90_000 - hour as u64 * 1000, |_| 7);
        assert_eq!(shrinks.forecast(1, None).expect("known").days_until_full, None);
    }

    #[test]
    fn a_sample_an_hour_is_to_be_kept_and_memory_is_bounded() {
        let mut samples = Samples::default();
        let mut kept = 0;
        for minute in 0..(20 * DAY / MINUTE_MS) {
            let sample = Sample {
                at_ms: minute * MINUTE_MS,
                events: 1,
                others: 1,
            };
            kept += usize::from(samples.add(sample));
            assert!(!samples.add(sample), "once");
        }
        assert_eq!(kept, 20 * 24);
        assert_eq!((samples.hours.len(), samples.minutes.len()), (HOURS_KEPT, MINUTES_KEPT));
    }
}
