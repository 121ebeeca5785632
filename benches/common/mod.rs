//! What the benchmarks share: arguments, a folder on the disk under test, quantiles, and a plain table.
//!
//! What must stay true: every ratio compares two things measured in the same run, in rounds that take turns; a ratio
//! that isn't a positive number ends the benchmark with an error.
#![allow(dead_code, reason = "each benchmark uses its own part of this module")]

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Only long enough to see that everything runs.
    pub quick: bool,
    /// One part alone.
    pub part: Option<&'static str>,
}

impl Extent {
    /// From the command line: `--quick`, and `--bench`, which cargo adds.
    pub fn from_arguments() -> Self {
        Self::of_parts(&[])
    }

    /// The same for a benchmark of several parts: the name of one runs it alone.
    pub fn of_parts(parts: &[&'static str]) -> Self {
        let mut extent = Self {
            quick: false,
            part: None,
        };
        for argument in std::env::args().skip(1) {
            let part = parts.iter().find(|part| **part == argument);
            match argument.as_str() {
                "--quick" => extent.quick = true,
                "--bench" => {}
                _ if part.is_some() => extent.part = part.copied(),
                other => {
                    eprintln!("unknown argument {other}; allowed: --quick {}", parts.join(" "));
                    std::process::exit(2);
                }
            }
        }
        extent
    }

    /// Whether this part runs.
    pub fn wants(self, part: &str) -> bool {
        self.part.is_none_or(|only| only == part)
    }

    /// The one or the other.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// A folder beside the build, on a real disk: where `/tmp` is memory, an fsync there would cost nothing.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// Cores that the machine gives.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The value below which the share `q` of the samples lies; sorts them.
pub fn quantile(samples: &mut [u32], q: f64) -> u32 {
    assert!(!samples.is_empty(), "nothing was measured");
    samples.sort_unstable();
    samples[((samples.len() - 1) as f64 * q).round() as usize]
}

/// The median of some rounds' figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    assert!(!sorted.is_empty(), "nothing was measured");
    sorted[sorted.len() / 2]
}

/// `ours` over `theirs`.
#[track_caller]
pub fn ratio(ours: f64, theirs: f64) -> f64 {
    let ratio = ours / theirs;
    assert!(ratio.is_finite() && ratio > 0.0, "{ours} / {theirs} is no ratio");
    ratio
}

/// Lines whose columns line up: the first to the left, numbers to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Self { rows: vec![headings] }
    }

    /// Adds a line.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.rows[0].len(), "{cells:?}");
        self.rows.push(cells);
    }

    /// Prints it.
    pub fn print(&self) {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.rows[0].len()).filter_map(width).collect();
        for row in &self.rows {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            println!("{}", line.trim_end());
        }
        println!();
    }
}
