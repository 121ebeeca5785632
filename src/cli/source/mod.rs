//! `mainstay source` (floor 8): sources of events, one file for each command.
mod create;
mod list;
mod revoke;

use std::io;

use clap::Subcommand;

use super::Context;
use super::terminal::{Exit, Terminal};
use crate::access::SourceFile;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a source and print the DSN with which Sentry's SDKs report under its name
    Create(create::Arguments),
    /// List the sources, without their keys
    List(list::Arguments),
    /// Revoke a source's key for good; its events stay
    Revoke(revoke::Arguments),
}

pub(super) fn run(command: Command, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(errors) => return terminal.refuse(&errors),
    };
    let file = SourceFile::in_folder(&loaded.settings.storage.data_dir);
    match command {
        Command::Create(arguments) => create::run(&arguments, &file, &loaded, context.now, terminal),
        Command::List(arguments) => list::run(&arguments, &file, terminal),
        Command::Revoke(arguments) => revoke::run(&arguments, &file, terminal),
    }
}
