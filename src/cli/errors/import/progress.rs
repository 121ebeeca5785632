//! How far an import is (floor 8): a bar on a terminal, a line now and then elsewhere.
//!
//! What must stay true: standard output stays free for the result; a line that is said is not torn by the bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::Tally;
use crate::cli::terminal::Terminal;

/// Lines of the file between two lines of ours, where there is no terminal.
const TELL_EVERY: u64 = 100_000;
const OF_FILE: &str = "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta}  {msg}";
const OF_STREAM: &str = "{spinner} {bytes}  {msg}";

/// What is shown.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: u64,
}

impl Progress {
    /// For a file of so many bytes; unknown for a stream.
    pub(super) fn new(size: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = size.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = if size.is_some() { OF_FILE } else { OF_STREAM };
            // The templates are right; without one the bar has its own.
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("=> ")),
                Err(_) => bar,
            }
        });
        Self { bar, told: 0 }
    }

    /// So many lines and bytes of the file were read.
    pub(super) fn at(&mut self, lines: u64, bytes: u64, tally: &Tally, terminal: &mut Terminal<'_>) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(format!("{lines} lines, {} rejected", tally.rejected));
            return Ok(());
        }
        if lines / TELL_EVERY == self.told {
            return Ok(());
        }
        self.told = lines / TELL_EVERY;
        let Tally {
            accepted,
            duplicates,
            rejected,
            ..
        } = tally;
        writeln!(
            terminal.err,
            "line {lines}: accepted {accepted}, duplicates {duplicates}, rejected {rejected}"
        )
    }

    /// Says something beside it.
    pub(super) fn say(&self, terminal: &mut Terminal<'_>, text: &str) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| writeln!(terminal.err, "{text}")),
            None => writeln!(terminal.err, "{text}"),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
