//! `mainstay token` (floor 8): access tokens, one file for each command.
mod create;
mod expiry;
mod list;
mod revoke;

use std::io;

use clap::Subcommand;

use super::Context;
use super::terminal::{Exit, Terminal};
use crate::access::TokenFile;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it once
    Create(create::Arguments),
    /// List the tokens, without their secrets
    List(list::Arguments),
    /// Revoke a token for good
    Revoke(revoke::Arguments),
}

pub(super) fn run(command: Command, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(errors) => return terminal.refuse(&errors),
    };
    let file = TokenFile::in_folder(&loaded.settings.storage.data_dir);
    match command {
        Command::Create(arguments) => create::run(arguments, &file, context.now, terminal),
        Command::List(arguments) => list::run(&arguments, &file, context.now, terminal),
        Command::Revoke(arguments) => revoke::run(&arguments, &file, terminal),
    }
}
