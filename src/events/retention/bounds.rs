//! What the event log may hold, and what has to leave now (floor 2, pure): measures in, a need out.
//!
//! A bound that is crossed is pruned to a little below it, so that pruning comes in bursts and not with every event. What
//! must stay true: a bound of 0 asks for nothing; a low disk asks for no more than leaves a quarter of the budget, and for
//! nothing where the file can't shrink. Called by the runner and the preview.

use std::time::Duration;

use serde::Serialize;

use crate::config::RetentionSettings;
use crate::db::disk::Space;

/// Pruned by this part of a bound below it.
const BELOW_PART: u64 = 20;
/// On a low disk no less than this part of the budget is left.
const FLOOR_PART: u64 = 4;
/// Room is made until there is this part more than little.
const ROOM_PART: u64 = 4;
const DAY: Duration = Duration::from_secs(86_400);

/// Why events leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// They are older than events may be.
    Age,
    /// There are more than there may be.
    Count,
    /// events.db is larger than it may be.
    Bytes,
    /// The disk is low.
    Disk,
}

impl Reason {
    /// Every reason, in the order in which they are looked at.
    pub const ALL: [Reason; 4] = [Self::Age, Self::Count, Self::Bytes, Self::Disk];

    /// The word on the wire and in events.db.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Disk => "disk",
        }
    }
}

/// What the event log may hold; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The oldest that an event may be.
    pub max_age: Option<Duration>,
    /// Most events.
    pub max_count: Option<u64>,
    /// Most bytes of events.db.
    pub max_bytes: Option<u64>,
    /// The same as a share of its file system, in percent.
    pub max_disk_percent: Option<u64>,
}

impl From<&RetentionSettings> for Bounds {
    fn from(settings: &RetentionSettings) -> Self {
        let bound = |number: u64| (number > 0).then_some(number);
        Self {
            max_age: bound(settings.max_days).map(|days| DAY * u32::try_from(days).unwrap_or(u32::MAX)),
            max_count: bound(settings.max_count),
            max_bytes: bound(settings.max_bytes),
            max_disk_percent: bound(settings.max_disk_percent),
        }
    }
}

/// Whether an event of this time leaves because of its age; both in milliseconds since the epoch.
pub fn is_too_old(time_ms: i64, cutoff_ms: Option<i64>) -> bool {
    cutoff_ms.is_some_and(|cutoff| time_ms < cutoff)
}

/// What there is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// Stored events, one a row: what a storm counts on its samples takes no room.
    pub events: u64,
    /// How often they occurred.
    pub occurrences: u64,
    /// When the oldest of them happened, milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// Bytes of the pages of events.db that hold something.
    pub used_bytes: u64,
    /// Bytes of the pages that are free within the file.
    pub free_bytes: u64,
    /// Whether those can be given back to the disk.
    pub gives_back: bool,
    /// The file system.
    pub space: Option<Space>,
}

/// What has to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Every event before this time, milliseconds since the epoch.
    Before(i64),
    /// So many events of least worth.
    Events(Reason, u64),
}

impl Bounds {
    /// The smaller of the bounds of bytes.
    pub fn budget(&self, space: Option<Space>) -> Option<u64> {
        let total = space.map(|space| space.total_bytes).filter(|total| *total > 0);
        let share = self
            .max_disk_percent
            .zip(total)
            .map(|(percent, total)| total / 100 * percent);
        [self.max_bytes, share].into_iter().flatten().min()
    }

    /// The time before which every event leaves, milliseconds since the epoch.
    pub fn cutoff_ms(&self, now_ms: i64) -> Option<i64> {
        let age = i64::try_from(self.max_age?.as_millis()).ok()?;
        now_ms.checked_sub(age)
    }

    /// What has to leave first; `None` when everything is within its bounds.
    pub fn need(&self, measure: &Measure, now_ms: i64) -> Option<Need> {
        if let (Some(cutoff), Some(oldest)) = (self.cutoff_ms(now_ms), measure.oldest_ms)
            && oldest < cutoff
        {
            return Some(Need::Before(cutoff));
        }
        [
            (Reason::Count, self.surplus(measure)),
            (Reason::Bytes, measure.events_of(self.surplus_bytes(measure))),
            (Reason::Disk, measure.events_of(self.wanted_for_disk(measure))),
        ]
        .into_iter()
        .find(|(_, count)| *count > 0)
        .map(|(reason, count)| Need::Events(reason, count))
    }

    fn surplus(&self, measure: &Measure) -> u64 {
        let most = self.max_count.filter(|most| measure.events > *most);
        most.map_or(0, |most| measure.events - (most - most / BELOW_PART))
    }

    fn surplus_bytes(&self, measure: &Measure) -> u64 {
        let budget = self.budget(measure.space).filter(|budget| measure.used_bytes > *budget);
        budget.map_or(0, |budget| measure.used_bytes - (budget - budget / BELOW_PART))
    }

    /// Bytes that the disk lacks and events.db can give.
    fn wanted_for_disk(&self, measure: &Measure) -> u64 {
        let budget = self.budget(measure.space).or(self.default_budget(measure.space));
        let floor = budget.unwrap_or(0) / FLOOR_PART;
        if !measure.gives_back {
            return 0;
        }
        let given = measure.lacking_bytes().saturating_sub(measure.free_bytes);
        given.min(measure.used_bytes.saturating_sub(floor))
    }

    /// Where nobody bounds the bytes, the floor is that of the defaults.
    fn default_budget(&self, space: Option<Space>) -> Option<u64> {
        Self::from(&RetentionSettings::default()).budget(space)
    }
}

impl Measure {
    /// Bytes that are missing until the disk is no longer low; 0 while it isn't.
    pub fn lacking_bytes(&self) -> u64 {
        let Some(space) = self.space else { return 0 };
        let little = space.little_bytes();
        if space.free_bytes >= little {
            return 0;
        }
        little + little / ROOM_PART - space.free_bytes
    }

    /// So many events less.
    pub(super) fn take(&mut self, count: u64) {
        let bytes = self.used_bytes / self.events.max(1) * count;
        (self.events, self.used_bytes) = (self.events.saturating_sub(count), self.used_bytes.saturating_sub(bytes));
        self.free_bytes += bytes;
    }

    /// How many events take so many bytes, by their mean; at least one.
    fn events_of(&self, bytes: u64) -> u64 {
        if bytes == 0 || self.events == 0 {
            return 0;
        }
        let mean = (self.used_bytes / self.events).max(1);
        bytes.div_ceil(mean).min(self.events)
    }
}

#[cfg(test)]
mod tests;
