//! The command line (floor 8): one file for each command. `main` calls [`run`]; tests that put something of their own
//! under the real program call [`run_with`]; nobody else.
//!
//! What must stay true: standard output carries what was asked for and nothing else, so that scripts can capture it;
//! explanations and errors go to standard error; the exit code is 0 for success, 1 for failure, 2 for a wrong
//! command line or configuration.
mod check;
mod config;
mod errors;
mod serve;
mod source;
mod terminal;
mod token;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigErrors, Loaded, Sources, load};
use terminal::{Exit, Terminal};

const AFTER_HELP: &str = "\
Configuration:
  Compiled-in defaults, then Rocket.toml, then environment variables such as DB_POOL_MAX=20 or ROCKET_PORT=8080;
  NAME_FILE=/path reads NAME's value from a file. `mainstay config` shows what is in force.

Exit codes:
  0  success
  1  failure: the server could not start or ended badly, a check failed, no such token
  2  wrong command line or wrong configuration

Examples:
  mainstay                                   serve on 127.0.0.1:3000
  ROCKET_PORT=8080 mainstay serve            serve on another port
  mainstay check                             try the configuration before a restart
  mainstay token create --scope admin        make the first token
  mainstay source create shop                a DSN for a Sentry SDK";

/// Keeps an application's data and its error log in SQLite, and keeps answering while that database is locked, full,
/// slow or broken.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the dashboard until SIGINT or SIGTERM (this is the default command)
    #[command(after_help = serve::AFTER_HELP)]
    Serve,
    /// Show every setting in force and where it came from
    Config(config::Arguments),
    /// Try out the configuration, the data folder, the tokens and the databases without changing them
    #[command(after_help = check::AFTER_HELP)]
    Check,
    /// Work on error events: group the lines of a file, import one
    #[command(subcommand)]
    Errors(errors::Command),
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Make, list and revoke sources: a DSN for Sentry's SDKs each
    #[command(subcommand)]
    Source(source::Command),
}

/// What a command is given besides its arguments.
struct Context {
    sources: Sources,
    now: Timestamp,
}

/// Runs the command that the process's arguments ask for.
pub fn run() -> ExitCode {
    // SAFETY: the process has one thread yet, and its log's writers never use SQLite.
    let installed = unsafe { crate::db::log_notices() };
    debug_assert!(installed, "SQLite was used before main");
    run_with(std::env::args_os())
}

/// Runs the command that these arguments ask for; the first is the program's name. Ends the process on a wrong command
/// line, `--help` and `--version`.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(arguments);
    let terminal = &mut Terminal {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
    };
    let sources = match Sources::from_process() {
        Ok(sources) => sources,
        Err(errors) => return finish(terminal.refuse(&errors)),
    };
    let now = SystemClock.wall();
    dispatch(cli, Context { sources, now }, terminal)
}

fn dispatch(cli: Cli, context: Context, terminal: &mut Terminal<'_>) -> ExitCode {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(context, terminal),
        Command::Config(arguments) => finish(config::run(&arguments, &context, terminal)),
        Command::Check => finish(check::run(&context, terminal)),
        Command::Errors(command) => finish(errors::run(command, &context, terminal)),
        Command::Token(command) => finish(token::run(command, &context, terminal)),
        Command::Source(command) => finish(source::run(command, &context, terminal)),
    }
}

/// A reader that went away (`mainstay config | head`) is no failure.
fn finish(result: io::Result<Exit>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done.into(),
        Err(error) => {
            // Standard error is all that is left; when it is gone too, the exit code still tells.
            let _ = writeln!(io::stderr(), "mainstay: the output could not be written: {error}");
            Exit::Failed.into()
        }
    }
}

impl Context {
    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.sources)
    }
}
