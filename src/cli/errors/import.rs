//! `mainstay errors import` (floor 8): the events of a file into the log, with or without a running server.
//!
//! ```text
//! file ─▶ unpack ─▶ lines ─▶ event of a line ─▶ batch ─▶ target: a server's import, or events.db itself
//! ```
//! What must stay true: run again it doubles nothing, wherever it was stopped, because every line has an id that stays; a
//! wrong line is told with its number and stops nothing else; memory doesn't grow with the file or with a line.

mod batch;
mod lines;
mod progress;
mod server;
mod target;
mod unpack;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use self::batch::Batch;
use self::lines::{Found, Lines};
use self::progress::Progress;
use self::target::{Failure, Taken, Target};
use crate::cli::Context;
use crate::cli::terminal::{Exit, Terminal};
use crate::clock::{self, Clock, SystemClock};

const AFTER_HELP: &str = "\
Each line is an event as GET /api/monitoring/errors/export writes it, or as POST /api/monitoring/errors takes it. A file
packed with gzip or zstd is unpacked. A running server on the same data folder is found by itself; where it has tokens it
wants one with the scope monitor:write. Without a server the events go straight into the data folder.

Run it again after it was stopped: what is there already counts as a duplicate. A line without an id gets one that
follows from its text, its number, and the label.

Examples:
  mainstay errors import errors-20260131T083000Z.ndjson
  zcat old/*.gz | mainstay errors import - --label old
  MAINSTAY_TOKEN_FILE=/etc/mainstay.token mainstay errors import errors.ndjson.zst";

/// Between two tries at least and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// The file to read; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Tells equal lines of different files apart, where they have no id
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    label: String,
    /// For a running server; better in MAINSTAY_TOKEN or MAINSTAY_TOKEN_FILE, which other users can't see
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// How long to wait while the events can't be taken
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
}

/// What became of the lines so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    /// Of the accepted, those that a bound removes at once.
    too_old: u64,
    /// Of the duplicates, those whose line had no id.
    known_lines: u64,
}

/// Why an import ended before its end.
enum Stop {
    /// What can be said of it.
    Why(String),
    /// The terminal is gone.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(errors) => return terminal.refuse(&errors),
    };
    let token = match arguments
        .token
        .clone()
        .map_or_else(|| context.sources.token(), |token| Ok(Some(token)))
    {
        Ok(token) => token,
        Err(errors) => return terminal.refuse(&errors),
    };
    let input = match unpack::open(&arguments.file) {
        Ok(input) => input,
        Err(error) => return terminal.fail(&format!("{} can't be read: {error}", arguments.file.display())),
    };
    let mut import = Import {
        label: &arguments.label,
        patience: Duration::from_secs(arguments.wait),
        progress: Progress::new(input.size),
        target: Target::new(loaded.settings, token),
        tally: Tally::default(),
        terminal,
    };
    let ended = import.all(input);
    import.sum_up(ended)
}

struct Import<'a, 't> {
    label: &'a str,
    patience: Duration,
    progress: Progress,
    target: Target,
    tally: Tally,
    terminal: &'a mut Terminal<'t>,
}

impl Import<'_, '_> {
    /// The number of the line from which on nothing was taken, and why.
    fn all(&mut self, input: unpack::Input) -> Result<(), (u64, Stop)> {
        let mut lines = Lines::new(input.bytes);
        let mut batch = Batch::new(self.label);
        loop {
            let begins = batch.first_line().unwrap_or(lines.number() + 1);
            let found = lines.next().map_err(|error| format!("can't be read on: {error}"));
            match found {
                Ok(Some((number, line))) => self.add(&mut batch, number, &line).map_err(|stop| (begins, stop))?,
                Ok(None) => return self.deliver(&mut batch).map_err(|stop| (begins, stop)),
                Err(why) => {
                    // What was read before is taken all the same.
                    self.deliver(&mut batch).map_err(|stop| (begins, stop))?;
                    return Err((lines.number() + 1, Stop::Why(why)));
                }
            }
            if batch.is_full() {
                self.deliver(&mut batch).map_err(|stop| (begins, stop))?;
            }
            let tally = self.tally;
            let told = self
                .progress
                .at(lines.number(), input.read.get(), &tally, self.terminal);
            told.map_err(|error| (begins, Stop::Io(error)))?;
        }
    }

    fn add(&mut self, batch: &mut Batch<'_>, number: u64, line: &Found<'_>) -> Result<(), Stop> {
        match batch.add(number, line, SystemClock.wall()) {
            Ok(()) => Ok(()),
            Err(why) => self.reject(number, &why),
        }
    }

    fn reject(&mut self, number: u64, why: &str) -> Result<(), Stop> {
        self.tally.rejected += 1;
        Ok(self.progress.say(self.terminal, &format!("line {number}: {why}"))?)
    }

    /// Hands a batch over, waiting where that can help.
    fn deliver(&mut self, batch: &mut Batch<'_>) -> Result<(), Stop> {
        let until = clock::now() + self.patience;
        let mut told = String::new();
        while !batch.is_empty() {
            match self.target.take(batch.events()) {
                Ok(taken) => self.settle(batch, taken)?,
                Err(Failure::Final(why)) => return Err(Stop::Why(why)),
                Err(Failure::Wait { why, after }) => self.wait(&mut told, why, after, until)?,
            }
        }
        Ok(())
    }

    fn wait(&mut self, told: &mut String, why: String, after: Duration, until: Instant) -> Result<(), Stop> {
        let after = after.clamp(PAUSE.0, PAUSE.1);
        if clock::now() + after > until {
            return Err(Stop::Why(why));
        }
        if *told != why {
            self.progress.say(self.terminal, &format!("mainstay: waiting: {why}"))?;
            *told = why;
        }
        std::thread::sleep(after);
        Ok(())
    }

    fn settle(&mut self, batch: &mut Batch<'_>, taken: Taken) -> Result<(), Stop> {
        self.tally.accepted += taken.accepted;
        self.tally.duplicates += taken.duplicates;
        self.tally.too_old += taken.too_old;
        if taken.accepted == 0 {
            self.tally.known_lines += batch.without_id().min(taken.duplicates);
        }
        let numbers = batch.take_numbers();
        for (index, why) in taken.rejected {
            self.reject(numbers.get(index).copied().unwrap_or(0), &why)?;
        }
        Ok(())
    }

    fn sum_up(self, ended: Result<(), (u64, Stop)>) -> io::Result<Exit> {
        self.progress.end();
        let Tally {
            accepted,
            duplicates,
            rejected,
            too_old,
            known_lines,
        } = self.tally;
        writeln!(
            self.terminal.out,
            "accepted {accepted}, duplicates {duplicates}, rejected {rejected}"
        )?;
        if too_old > 0 {
            writeln!(
                self.terminal.err,
                "mainstay: {too_old} of the accepted are older than events are kept and leave at once: \
                 raise MAINSTAY_EVENTS_MAX_DAYS and import again to keep them"
            )?;
        }
        if known_lines > 0 {
            writeln!(
                self.terminal.err,
                "mainstay: {known_lines} of the duplicates are lines without an id that an earlier run took; \
                 where they are other events, give this file a --label"
            )?;
        }
        match ended {
            Ok(()) if rejected == 0 => Ok(Exit::Done),
            Ok(()) => Ok(Exit::Failed),
            Err((_, Stop::Io(error))) => Err(error),
            Err((line, Stop::Why(why))) => {
                let again = "the same command goes on from there";
                self.terminal
                    .fail(&format!("not finished, from line {line} on: {why}; {again}"))
            }
        }
    }
}
