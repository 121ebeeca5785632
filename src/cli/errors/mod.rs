//! `mainstay errors` (floor 8): work on error events without a server, one file for each command.
mod group;

use std::io;

use clap::Subcommand;

use super::Context;
use super::terminal::{Exit, Terminal};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which group each line of a file would be in
    Group(group::Arguments),
}

pub(super) fn run(command: Command, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match command {
        Command::Group(arguments) => group::run(&arguments, context.now, terminal),
    }
}
