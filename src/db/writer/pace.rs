//! How many jobs one transaction takes (floor 1, pure): measured times in, a limit out.
//!
//! A job waits for all others of its batch, and the writer's lock is held meanwhile; but each commit costs an fsync,
//! which more jobs share. So the jobs of a batch may take together what a commit takes, and 5 ms at least.
//!
//! Callers that were just answered often write again at once, but while they are on their way the queue holds only
//! those who came during the commit. A batch of these alone leaves the others to the next one, and so on for ever: two
//! commits where one would do. So the thread waits for them for a moment, as long as that proves worth it.
//! What must stay true: who is alone never waits; the limit is between 1 and [`MOST_JOBS`]; one batch at most halves or doubles it.
//! Called by the writer's thread.

use std::time::Duration;

/// Most jobs in one transaction.
pub const MOST_JOBS: usize = 512;
/// Before anything was measured.
const FIRST_LIMIT: usize = 128;
const WORK: Duration = Duration::from_millis(5);
const WEIGHT: f64 = 1.0 / 8.0;
/// The wait is this part of a commit, and no longer than that.
const WAIT_PART: f64 = 0.25;
const LONGEST_WAIT: Duration = Duration::from_millis(1);
/// Batches without a wait after one in vain.
const WITHOUT: u32 = 16;

/// The limit, and the moving averages it follows, in seconds.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    job: Option<f64>,
    commit: Option<f64>,
    /// Jobs of the last batch and those queued at its end: as many may come for the next.
    expected: usize,
    /// Batches still to go without a wait.
    without: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST_LIMIT,
            job: None,
            commit: None,
            expected: 0,
            without: 0,
        }
    }
}

fn average(before: Option<f64>, now: Duration) -> f64 {
    let now = now.as_secs_f64();
    before.map_or(now, |before| before + (now - before) * WEIGHT)
}

impl Pace {
    /// A batch of `jobs` (not 0) ran for `work` and was committed in `commit`.
    pub fn measured(&mut self, jobs: usize, work: Duration, commit: Duration) {
        let job = average(self.job, work.div_f64(jobs.max(1) as f64));
        let commit = average(self.commit, commit);
        (self.job, self.commit) = (Some(job), Some(commit));
        // Of jobs that take no time there may be as many as there may ever be: the cast saturates.
        let wanted = (commit.max(WORK.as_secs_f64()) / job) as usize;
        let steps = (self.limit / 2).max(1)..=(self.limit * 2).min(MOST_JOBS);
        self.limit = wanted.clamp(*steps.start(), *steps.end());
    }

    /// A batch of `jobs` was committed while `queued` others came.
    pub fn committed(&mut self, jobs: usize, queued: usize) {
        self.expected = jobs + queued;
    }

    /// How many jobs to wait for, and for how long, when `present` of them are there.
    pub fn wait(&mut self, present: usize) -> Option<(usize, Duration)> {
        let wanted = self.expected.min(self.limit);
        if present >= wanted {
            return None;
        }
        if self.without > 0 {
            self.without -= 1;
            return None;
        }
        Some((wanted, self.longest()?))
    }

    /// How long the first of those who were just answered is worth waiting for.
    pub fn wait_for_first(&self) -> Option<Duration> {
        if self.expected > 1 && self.without == 0 {
            self.longest()
        } else {
            None
        }
    }

    fn longest(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(self.commit? * WAIT_PART).min(LONGEST_WAIT))
    }

    /// Nobody came during a wait.
    pub fn waited_in_vain(&mut self) {
        self.without = WITHOUT;
    }

    /// Jobs for the next batch.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(job_us: u64, commit_ms: u64) -> usize {
        let mut pace = Pace::default();
        (0..50).for_each(|_| pace.measured(10, Duration::from_micros(job_us * 10), Duration::from_millis(commit_ms)));
        pace.limit()
    }

    #[test]
    fn a_batch_works_for_five_milliseconds_or_as_long_as_its_commit_takes() {
        assert_eq!(Pace::default().limit(), FIRST_LIMIT);
        assert!(settled(100, 1).abs_diff(50) <= 1);
        assert!(
            settled(100, 20).abs_diff(200) <= 1,
            "an fsync that dominates is shared by more"
        );
        assert_eq!(settled(1, 1), MOST_JOBS);
        assert_eq!(settled(0, 1), MOST_JOBS);
        assert_eq!(settled(50_000, 1), 1);
    }

    #[test]
    fn one_odd_batch_moves_it_by_half() {
        let mut pace = Pace::default();
        pace.measured(1, Duration::from_secs(9), Duration::from_millis(1));
        assert_eq!(pace.limit(), FIRST_LIMIT / 2);
        (0..100).for_each(|_| pace.measured(64, Duration::from_micros(64), Duration::from_millis(1)));
        assert!(pace.limit() > FIRST_LIMIT, "{}", pace.limit());
    }

    #[test]
    fn those_who_were_answered_are_waited_for_as_long_as_they_come() {
        let mut pace = Pace::default();
        pace.committed(40, 24);
        assert_eq!(pace.wait(24), None, "no commit was measured yet");
        pace.measured(40, Duration::from_micros(400), Duration::from_millis(2));
        let wait = Some((64, Duration::from_micros(500)));
        assert_eq!(pace.wait(24), wait);
        assert_eq!((pace.wait(24), pace.wait(64)), (wait, None));
        pace.waited_in_vain();
        assert!((0..WITHOUT).all(|_| pace.wait(24).is_none()), "it was in vain");
        assert_eq!(pace.wait(24), wait, "and is tried again");
    }

    #[test]
    fn who_is_alone_never_waits() {
        let mut pace = Pace::default();
        pace.measured(1, Duration::from_micros(10), Duration::from_millis(2));
        pace.committed(1, 0);
        assert_eq!(pace.wait(1), None);
    }
}
