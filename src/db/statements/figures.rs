//! What is counted of one statement (floor 1): totals and a histogram in constant memory.
//!
//! What must stay true: adding never allocates but for a new operation's name; adding two sets of figures loses nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Buckets an octave: a percentile is true to one part in sixteen.
const PARTS: u32 = 8;
/// Shortest time told apart is 2^9 ns, the longest 2^37 ns (137 s).
const LEAST_BITS: u32 = 9;
const MOST_BITS: u32 = 37;
const BUCKETS: usize = ((MOST_BITS - LEAST_BITS) * PARTS) as usize;
/// Operations named of one statement.
const MOST_OPERATIONS: usize = 8;

/// Places in which threads count one statement apart from each other.
pub const STRIPES: usize = 4;

/// The place of this thread.
pub fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    }
    MINE.with(|mine| *mine)
}

/// One run of a statement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it ended.
    pub at: Instant,
    /// From its first step to its end.
    pub took: Duration,
    /// Rows given, or changed.
    pub rows: u64,
    /// SQLITE_STMTSTATUS_FULLSCAN_STEP, SORT, AUTOINDEX and VM_STEP of this run.
    pub status: [u64; 4],
    /// Whether it took the slow threshold.
    pub slow: bool,
}

/// Times by size: each octave in [`PARTS`] equal parts.
#[derive(Debug, Clone)]
struct Histogram([u32; BUCKETS]);

impl Histogram {
    fn bucket(nanos: u64) -> usize {
        let bits = nanos.max(1).ilog2();
        if bits < LEAST_BITS {
            return 0;
        }
        let part = (nanos >> (bits - PARTS.ilog2())) as u32 - PARTS;
        (((bits - LEAST_BITS) * PARTS + part) as usize).min(BUCKETS - 1)
    }

    /// The middle of a bucket, in nanoseconds.
    fn middle(bucket: usize) -> u64 {
        let bucket = bucket as u32;
        let octave = 1_u64 << (LEAST_BITS + bucket / PARTS);
        let part = octave / u64::from(PARTS);
        octave + part * u64::from(bucket % PARTS) + part / 2
    }

    fn quantile(&self, q: f64) -> u64 {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        found.map_or(0, Self::middle)
    }
}

/// The figures of a statement.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Runs.
    pub calls: u64,
    /// Runs and preparations that failed.
    pub errors: u64,
    /// The extended code of the latest error, and when.
    pub last_error: Option<(Instant, i32)>,
    /// Rows given or changed.
    pub rows: u64,
    /// Total time.
    pub total: Duration,
    /// Longest time.
    pub max: Duration,
    /// As in [`Sample::status`].
    pub status: [u64; 4],
    /// Slow runs.
    pub slow: u64,
    /// When it was last run.
    pub last_seen: Option<Instant>,
    /// Operations that ran it.
    pub operations: Vec<&'static str>,
    histogram: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            calls: 0,
            errors: 0,
            last_error: None,
            rows: 0,
            total: Duration::ZERO,
            max: Duration::ZERO,
            status: [0; 4],
            slow: 0,
            last_seen: None,
            operations: Vec::new(),
            histogram: Histogram([0; BUCKETS]),
        }
    }
}

impl Figures {
    /// A run of it ended.
    pub fn add(&mut self, sample: &Sample, operation: &'static str) {
        self.calls += 1;
        self.rows += sample.rows;
        self.total += sample.took;
        self.max = self.max.max(sample.took);
        for (sum, part) in self.status.iter_mut().zip(sample.status) {
            *sum += part;
        }
        self.slow += u64::from(sample.slow);
        self.last_seen = Some(sample.at);
        let nanos = u64::try_from(sample.took.as_nanos()).unwrap_or(u64::MAX);
        let count = &mut self.histogram.0[Histogram::bucket(nanos)];
        *count = count.saturating_add(1);
        self.ran_by(operation);
    }

    /// It failed with this code.
    pub fn fail(&mut self, at: Instant, code: i32, operation: &'static str) {
        self.errors += 1;
        self.last_error = Some((at, code));
        self.last_seen = Some(at);
        self.ran_by(operation);
    }

    fn ran_by(&mut self, operation: &'static str) {
        if self.operations.len() < MOST_OPERATIONS && !self.operations.contains(&operation) {
            self.operations.push(operation);
        }
    }

    /// Adds what another place counted of the same.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.last_error = self.last_error.max(other.last_error);
        self.rows += other.rows;
        self.total += other.total;
        self.max = self.max.max(other.max);
        for (sum, part) in self.status.iter_mut().zip(other.status) {
            *sum += part;
        }
        self.slow += other.slow;
        self.last_seen = self.last_seen.max(other.last_seen);
        for (sum, part) in self.histogram.0.iter_mut().zip(other.histogram.0) {
            *sum = sum.saturating_add(part);
        }
        other.operations.iter().for_each(|operation| self.ran_by(operation));
    }

    /// The mean time.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.total.as_secs_f64() / self.calls.max(1) as f64)
    }

    /// The time that 95 % of the runs took at most, to one part in sixteen.
    pub fn p95(&self) -> Duration {
        Duration::from_nanos(self.histogram.quantile(0.95)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_true_to_a_sixteenth() {
        for nanos in [600_u64, 1_000, 4_321, 1_000_000, 77_777_777, 9_999_999_999] {
            let middle = Histogram::middle(Histogram::bucket(nanos));
            assert!(middle.abs_diff(nanos) * 16 <= nanos + 16, "{nanos}: {middle}");
        }
        assert_eq!(Histogram::bucket(0), 0);
        assert_eq!(Histogram::bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn two_halves_are_the_whole() {
        let sample = |ms| Sample {
            at: Instant::now(),
            took: Duration::from_millis(ms),
            rows: 2,
            status: [1, 2, 3, 4],
            slow: ms > 90,
        };
        let (mut one, mut two) = (Figures::default(), Figures::default());
        (1..=50).for_each(|ms| one.add(&sample(ms), "a"));
        (51..=100).for_each(|ms| two.add(&sample(ms), "b"));
        two.fail(Instant::now(), 5, "b");
        one.merge(&two);
        assert_eq!((one.calls, one.errors, one.rows, one.slow), (100, 1, 200, 10));
        assert_eq!(one.status, [100, 200, 300, 400]);
        assert_eq!(one.operations, ["a", "b"]);
        let p95 = one.p95().as_millis();
        assert!((89..=101).contains(&p95), "{p95}");
        assert_eq!(one.max, Duration::from_millis(100));
    }
}
