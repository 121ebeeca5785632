//! `mainstay token revoke` (floor 8).

use std::io;

use clap::Args;

use crate::access::{TokenFile, revoke};
use crate::cli::terminal::{Exit, Terminal};

const AFTER_HELP: &str = "\
A running server refuses the token within a second. Revoking the last one makes a server that listens on loopback open
to this machine again.

Example:
  mainstay token revoke 0a1b2c3d";

const LAST_ONE: &str = "\
That was the last one. A server that listens on loopback is now open to this machine; one that listens elsewhere refuses
everybody, and won't start again without a token.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// The token's id: the 8 digits after mst_, or the first column of `mainstay token list`
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) fn run(arguments: &Arguments, file: &TokenFile, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    match revoke(file, &arguments.id) {
        Ok(Some((gone, left))) => {
            writeln!(terminal.err, "Token {} is revoked; {left} left.", gone.id)?;
            if left == 0 {
                writeln!(terminal.err, "{LAST_ONE}")?;
            }
            Ok(Exit::Done)
        }
        Ok(None) => terminal.fail(&format!(
            "there is no token {:?}; `mainstay token list` shows the ids",
            arguments.id
        )),
        Err(error) => terminal.fail(&error),
    }
}
