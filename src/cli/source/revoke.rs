//! `mainstay source revoke` (floor 8).

use std::io;

use clap::Args;

use crate::access::{SourceFile, revoke_source};
use crate::cli::terminal::{Exit, Terminal};

const AFTER_HELP: &str = "\
A running server refuses the key within a second. What was reported with it stays.

Example:
  mainstay source revoke shop";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// The source's name: the second column of `mainstay source list`
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run(arguments: &Arguments, file: &SourceFile, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match revoke_source(file, &arguments.name) {
        Ok(true) => {
            writeln!(terminal.err, "Source {:?} is revoked.", arguments.name)?;
            Ok(Exit::Done)
        }
        Ok(false) => terminal.fail(&format!(
            "there is no source {:?}; `mainstay source list` shows the names",
            arguments.name
        )),
        Err(error) => terminal.fail(&error),
    }
}
