//! Which groups are in a storm now (floor 2): what statistics show, and what is told once at the beginning and the end.
//!
//! What must stay true: one beginning and one end a storm, in that order; bounded, whatever storms there are. The writer thread
//! tells it once a batch; the statistics and a task that looks now and then read it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use parking_lot::Mutex;
use serde::{Serialize, Serializer};

use super::groups::MINUTE_MS;
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::wire::group_name;

/// Storms that are shown and told; further ones are thinned all the same.
const MOST_STORMS: usize = 100;
/// Beginnings and ends that wait to be told; further ones are not.
const MOST_TURNS: usize = 20;

/// A group's storm as a batch left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// When it began, milliseconds since the epoch.
    pub since_ms: i64,
    /// The minute of its last event, since the epoch.
    pub minute: i64,
    /// The group's events in that minute so far.
    pub in_minute: u32,
    /// Its occurrences that were counted on samples so far.
    pub counted: u64,
}

/// A storm that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storm {
    /// The group, as events are stored under it.
    #[serde(rename = "groupId", serialize_with = "named")]
    pub group: i64,
    /// When it began, milliseconds since the epoch.
    #[serde(rename = "since", serialize_with = "dated")]
    pub since_ms: i64,
    /// Events of the group in its busiest minute.
    pub per_minute: u32,
    /// Occurrences that were counted on samples.
    pub counted: u64,
}

fn named<S: Serializer>(group: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&group_name(*group))
}

fn dated<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_ms(from_epoch_ms(*ms)))
}

/// What is told of a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It begins.
    Began(Storm),
    /// It is over.
    Ended(Storm),
}

/// The storms.
#[derive(Debug, Default)]
pub struct Status(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Each with the minute of its last event.
    storms: BTreeMap<i64, (Storm, i64)>,
    turns: Vec<Turn>,
}

impl Status {
    /// A batch left a group's storm like this.
    pub fn seen(&self, group: i64, seen: Sighting) {
        let mut state = self.0.lock();
        let is_full = state.storms.len() >= MOST_STORMS;
        let begun = Storm {
            group,
            since_ms: seen.since_ms,
            per_minute: seen.in_minute,
            counted: seen.counted,
        };
        match state.storms.entry(group) {
            Entry::Occupied(mut known) => {
                let (storm, minute) = known.get_mut();
                storm.per_minute = storm.per_minute.max(seen.in_minute);
                (storm.counted, *minute) = (seen.counted, seen.minute);
            }
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(free) => {
                free.insert((begun, seen.minute));
                state.note(Turn::Began(begun));
            }
        }
    }

    /// A group's storm is over.
    pub fn calm(&self, group: i64) {
        let mut state = self.0.lock();
        if let Some((storm, _)) = state.storms.remove(&group) {
            state.note(Turn::Ended(storm));
        }
    }

    /// The storms that go on.
    pub fn storms(&self) -> Vec<Storm> {
        self.0.lock().storms.values().map(|(storm, _)| *storm).collect()
    }

    /// What is to be told since the last call; a storm whose group sent nothing for a whole minute is over at `now_ms`.
    pub fn turns(&self, now_ms: i64) -> Vec<Turn> {
        let mut state = self.0.lock();
        let silent_since = now_ms.div_euclid(MINUTE_MS) - 1;
        let over = |(_, (storm, minute)): (&i64, &(Storm, i64))| (*minute < silent_since).then_some(*storm);
        let ended: Vec<Storm> = state.storms.iter().filter_map(over).collect();
        for storm in ended {
            state.storms.remove(&storm.group);
            state.note(Turn::Ended(storm));
        }
        std::mem::take(&mut state.turns)
    }
}

impl State {
    fn note(&mut self, turn: Turn) {
        if self.turns.len() < MOST_TURNS {
            self.turns.push(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(minute: i64, counted: u64) -> Sighting {
        Sighting {
            since_ms: 5,
            minute,
            in_minute: 2000,
            counted,
        }
    }

    #[test]
    fn one_beginning_and_one_end() {
        let status = Status::default();
        (1..4).for_each(|counted| status.seen(17, seen(10, counted)));
        let told = status.turns(11 * MINUTE_MS);
        assert!(matches!(told[..], [Turn::Began(Storm { group: 17, .. })]), "{told:?}");
        assert!(status.turns(11 * MINUTE_MS + 59_999).is_empty());
        let told = status.turns(12 * MINUTE_MS);
        assert!(matches!(told[..], [Turn::Ended(Storm { counted: 3, .. })]), "{told:?}");
        assert!(status.turns(99 * MINUTE_MS).is_empty() && status.storms().is_empty());
        status.seen(17, seen(20, 1));
        status.calm(17);
        status.calm(17);
        assert_eq!(status.turns(20 * MINUTE_MS).len(), 2);
    }

    #[test]
    fn however_many_storms_there_are_little_is_told() {
        let status = Status::default();
        (0..1000).for_each(|group| status.seen(group, seen(1, 1)));
        assert_eq!(
            (status.storms().len(), status.turns(0).len()),
            (MOST_STORMS, MOST_TURNS)
        );
    }

    #[test]
    fn the_wire_names_group_and_time() {
        let status = Status::default();
        status.seen(17, seen(10, 1));
        let wire = serde_json::to_value(status.storms()).unwrap();
        assert_eq!(wire[0]["groupId"], "E-17");
        assert_eq!(wire[0]["since"], "1970-01-01T00:00:00.005Z");
        assert_eq!((&wire[0]["perMinute"], &wire[0]["counted"]), (&2000.into(), &1.into()));
    }
}
