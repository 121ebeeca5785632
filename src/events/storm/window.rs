//! Whether a group is in a storm (floor 2, pure): counts by minute.
//!
//! What must stay true: a group begins a storm with the first event beyond its limit of a minute, and stays in it from minute
//! to minute while more than half of the limit comes; a storm's rows grow with the logarithm of its events.

/// The fewest occurrences that a sample stands for before the next one is taken.
const LEAST_SPACING: u32 = 100;
/// A further sample comes with each tenth that a minute's count grows by.
const SPACING_SHARE: u32 = 10;

/// One minute of a group.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    minute: i64,
    count: u32,
    storming: bool,
}

impl Window {
    /// Counts an event of this minute; whether the group is in a storm with it.
    pub fn meet(&mut self, minute: i64, limit: u32) -> bool {
        if minute != self.minute {
            self.storming &= minute == self.minute + 1 && self.count > limit / 2;
            (self.minute, self.count) = (minute, 0);
        }
        self.count = self.count.saturating_add(1);
        self.storming |= self.count > limit;
        self.storming
    }

    /// Which minute this is, since the epoch.
    pub const fn minute(&self) -> i64 {
        self.minute
    }

    /// How many came in it.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many occurrences a sample stands for now before the next one is taken.
    pub fn spacing(&self) -> u32 {
        LEAST_SPACING.max(self.count / SPACING_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storms(window: &mut Window, minute: i64, events: u32) -> usize {
        (0..events).filter(|_| window.meet(minute, 1000)).count()
    }

    #[test]
    fn it_begins_beyond_the_limit_and_ends_with_a_calm_minute() {
        let mut window = Window::default();
        assert_eq!(storms(&mut window, 10, 1000), 0);
        assert_eq!(storms(&mut window, 10, 5), 5);
        assert_eq!(storms(&mut window, 11, 501), 501, "it goes on");
        assert_eq!(storms(&mut window, 12, 500), 500, "the minute before was no calm one");
        assert_eq!(storms(&mut window, 13, 1000), 0, "it is over");
        assert_eq!(storms(&mut window, 13, 1), 1);
        assert_eq!(storms(&mut window, 15, 1), 0, "a minute without any is a calm one");
    }

    #[test]
    fn a_million_events_are_a_hundred_samples() {
        let mut window = Window::default();
        let (mut samples, mut stands_for) = (0, u32::MAX);
        for _ in 0..1_000_000 {
            if !window.meet(1, 1000) {
                continue;
            }
            if stands_for < window.spacing() {
                stands_for += 1;
            } else {
                (samples, stands_for) = (samples + 1, 1);
            }
        }
        assert!((50..150).contains(&samples), "{samples}");
    }
}
