//! How many jobs one transaction takes (floor 1, pure): measured times in, a limit out.
//!
//! A job waits for all others of its batch, and the writer's lock is held meanwhile; but each commit costs an fsync,
//! which more jobs share. So the jobs of a batch may take together what a commit takes, and 5 ms at least.
//! What must stay true: the limit is between 1 and [`MOST_JOBS`]; one batch at most halves or doubles it.
//! Called by the writer's thread.

use std::time::Duration;

/// Most jobs in one transaction.
pub const MOST_JOBS: usize = 512;
/// Before anything was measured.
const FIRST_LIMIT: usize = 128;
const WORK: Duration = Duration::from_millis(5);
const WEIGHT: f64 = 1.0 / 8.0;

/// The limit, and the moving averages it follows, in seconds.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    job: Option<f64>,
    commit: Option<f64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST_LIMIT,
            job: None,
            commit: None,
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
}
