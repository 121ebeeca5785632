//! `mainstay errors` (floor 8): work on error events, one file for each command.
mod group;
mod import;

use std::io;

use clap::Subcommand;

use super::Context;
use super::terminal::{Exit, Terminal};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which group each line of a file would be in
    Group(group::Arguments),
    /// Take the events of a file in, into a running server or straight into the data folder
    Import(import::Arguments),
}

pub(super) fn run(command: Command, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Group(arguments) => group::run(&arguments, context.now, terminal),
        Command::Import(arguments) => import::run(&arguments, context, terminal),
    }
}
