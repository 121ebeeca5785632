//! What commands write to (floor 8), and how they end. Used inside `cli` alone.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::ConfigErrors;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    Misused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Misused => 2,
        })
    }
}

/// Standard output and standard error, or what stands for them in a test.
pub(super) struct Terminal<'t> {
    /// What was asked for.
    pub(super) out: &'t mut dyn Write,
    /// Explanations and errors.
    pub(super) err: &'t mut dyn Write,
}

impl Terminal<'_> {
    /// Says what is wrong with the configuration.
    pub(super) fn refuse(&mut self, errors: &ConfigErrors) -> io::Result<Exit> {
        let count = errors.0.len();
        let noun = if count == 1 { "error" } else { "errors" };
        writeln!(self.err, "mainstay: the configuration has {count} {noun}:")?;
        for error in &errors.0 {
            writeln!(self.err, "  {error}")?;
        }
        Ok(Exit::Misused)
    }

    /// Says why a command failed.
    pub(super) fn fail(&mut self, reason: &dyn std::fmt::Display) -> io::Result<Exit> {
        writeln!(self.err, "mainstay: {reason}")?;
        Ok(Exit::Failed)
    }

    /// Writes rows in columns as wide as their widest cell; the first row is the heading.
    pub(super) fn table<const N: usize>(&mut self, rows: &[[String; N]]) -> io::Result<()> {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(width).collect();
        for row in rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(self.out, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}
