//! What memory knows of groups that send much (floor 2): their minutes, and the samples that are open in a storm.
//!
//! What must stay true: bounded, whatever groups and variants are made up: the groups that were met last are known, and one
//! that was forgotten begins anew with whole events. It may be ahead of events.db after a transaction that was rolled back,
//! so whoever counts on a sample looks first whether it is there. Used on the writer thread alone.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use uuid::Uuid;

use super::status::{Sighting, Status};
use super::window::Window;
use crate::events::model::ErrorEvent;
use crate::events::store::HOUR_MS;

/// Milliseconds of the minutes in which groups are counted.
pub const MINUTE_MS: i64 = 60_000;
/// Groups of one generation; two generations are known.
const GENERATION: usize = 4096;
/// Open samples of one group: events that differ in what they are counted by have each their own.
const MOST_SAMPLES: usize = 16;

/// A row that further occurrences are counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its place.
    pub at: i64,
    /// Its id.
    pub id: Uuid,
    /// What it is counted by, hashed.
    variant: u64,
    /// Occurrences, its own included.
    stands_for: u32,
}

/// What is to be done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A row of its own.
    Whole,
    /// A row of its own, which others are counted on.
    Sample(u64),
    /// Counted on this sample.
    Onto(Sample),
}

#[derive(Debug, Default)]
struct Watch {
    newest: Window,
    /// A minute of the past: what the spool brings while others come in.
    late: Window,
    samples: Vec<Sample>,
    /// The present storm's first moment and what was counted in it; milliseconds since the epoch.
    storm: Option<(i64, u64)>,
}

/// The groups that were met last.
pub struct Groups {
    limit: u32,
    young: HashMap<i64, Watch>,
    old: HashMap<i64, Watch>,
    hasher: RandomState,
    status: Arc<Status>,
}

impl Groups {
    /// Up to `limit` events of a group a minute are stored whole.
    pub fn new(limit: u32, status: Arc<Status>) -> Self {
        Self {
            limit,
            young: HashMap::new(),
            old: HashMap::new(),
            hasher: RandomState::new(),
            status,
        }
    }

    /// What is to be done with an event of this group.
    pub fn judge(&mut self, group: i64, event: &ErrorEvent) -> Verdict {
        let minute = event.received_ms.div_euclid(MINUTE_MS);
        let limit = self.limit;
        let watch = self.watch(group);
        let is_newest = minute >= watch.newest.minute();
        let window = if is_newest { &mut watch.newest } else { &mut watch.late };
        let storming = window.meet(minute, limit);
        let spacing = window.spacing();
        // What the spool brings late is thinned like the rest, but begins and ends no storm of now.
        if storming && is_newest {
            watch.storm.get_or_insert((event.received_ms, 0));
        } else if is_newest && watch.storm.take().is_some() {
            watch.samples.clear();
            self.status.calm(group);
        }
        if !storming {
            return Verdict::Whole;
        }
        let variant = self.variant(event);
        let open = self
            .watch(group)
            .samples
            .iter()
            .find(|sample| sample.variant == variant);
        match open {
            Some(sample) if sample.stands_for < spacing => Verdict::Onto(*sample),
            _ => Verdict::Sample(variant),
        }
    }

    /// The sample that was taken instead of what this group had of its variant.
    pub fn took(&mut self, group: i64, variant: u64, at: i64, id: Uuid) {
        let samples = &mut self.watch(group).samples;
        samples.retain(|sample| sample.variant != variant);
        if samples.len() == MOST_SAMPLES {
            samples.remove(0);
        }
        samples.push(Sample {
            at,
            id,
            variant,
            stands_for: 1,
        });
    }

    /// One more was counted on a sample.
    pub fn counted(&mut self, group: i64, sample: &Sample) {
        let watch = self.watch(group);
        if let Some(open) = watch.samples.iter_mut().find(|open| open.id == sample.id) {
            open.stands_for += 1;
        }
        if let Some((_, counted)) = &mut watch.storm {
            *counted += 1;
        }
    }

    /// A sample that isn't in events.db any more; what its next one is taken for.
    pub fn lost(&mut self, group: i64, sample: &Sample) -> u64 {
        self.watch(group).samples.retain(|open| open.id != sample.id);
        sample.variant
    }

    /// Tells how this group's storm goes on.
    pub fn tell(&mut self, group: i64) {
        let watch = self.watch(group);
        let Some((since_ms, counted)) = watch.storm else { return };
        let seen = Sighting {
            since_ms,
            minute: watch.newest.minute(),
            in_minute: watch.newest.count(),
            counted,
        };
        self.status.seen(group, seen);
    }

    fn watch(&mut self, group: i64) -> &mut Watch {
        if !self.young.contains_key(&group) {
            let known = self.old.remove(&group).unwrap_or_default();
            if self.young.len() == GENERATION {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(group, known);
        }
        self.young.entry(group).or_default()
    }

    /// What an event is counted by besides its group: only what agrees with a sample in all of it is counted there, so that
    /// hours, releases and filters stay true.
    fn variant(&self, event: &ErrorEvent) -> u64 {
        let texts = (&event.source, &event.release, &event.environment);
        let hour = event.timestamp_ms.div_euclid(HOUR_MS);
        self.hasher.hash_one((hour, event.kind, event.severity, texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;
    use crate::events::parse;

    const NOW: i64 = 1_750_000_000_000;

    fn event(json: serde_json::Value) -> ErrorEvent {
        parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap()
    }

    #[test]
    fn what_differs_in_what_it_is_counted_by_has_a_sample_of_its_own() {
        let mut groups = Groups::new(1, Arc::default());
        let one = event(serde_json::json!({ "message": "m", "release": "1" }));
        let other = event(serde_json::json!({ "message": "m", "release": "2" }));
        assert_eq!(groups.judge(7, &one), Verdict::Whole);
        let Verdict::Sample(variant) = groups.judge(7, &one) else {
            panic!("a storm")
        };
        groups.took(7, variant, 40, one.id);
        let Verdict::Onto(sample) = groups.judge(7, &one) else {
            panic!("counted")
        };
        assert_eq!((sample.at, sample.id), (40, one.id));
        assert!(matches!(groups.judge(7, &other), Verdict::Sample(_)));
        groups.lost(7, &sample);
        assert!(matches!(groups.judge(7, &one), Verdict::Sample(_)));
        assert_eq!(groups.judge(8, &one), Verdict::Whole);
    }

    #[test]
    fn memory_is_bounded_however_many_groups_and_variants_there_are() {
        let mut groups = Groups::new(1, Arc::default());
        let one = event(serde_json::json!({ "message": "m" }));
        let whole = (0..20_000).filter(|group| groups.judge(*group, &one) == Verdict::Whole);
        assert_eq!(whole.count(), 20_000);
        assert!(groups.young.len() + groups.old.len() <= 2 * GENERATION);
        for release in 0..100 {
            let made_up = event(serde_json::json!({ "message": "m", "release": release.to_string() }));
            if let Verdict::Sample(variant) = groups.judge(1, &made_up) {
                groups.took(1, variant, release, made_up.id);
            }
        }
        assert_eq!(groups.watch(1).samples.len(), MOST_SAMPLES);
    }
}
