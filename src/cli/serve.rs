//! `mainstay serve` (floor 8): loads the configuration and hands it to `app`.

use std::process::ExitCode;

use super::terminal::Terminal;
use super::{Context, finish};

pub(super) const AFTER_HELP: &str = "\
The first SIGINT or SIGTERM ends it in order: requests under way are answered and queued writes reach the disk.
A second one ends it at once; nothing that was acknowledged is lost.

Listening elsewhere than on loopback needs a token: see `mainstay token create --help`.

Examples:
  mainstay serve
  MAINSTAY_DATA_DIR=/var/lib/mainstay ROCKET_ADDRESS=0.0.0.0 ROCKET_PORT=80 mainstay serve";

/// Serves until told to end; its exit code is `app`'s, or that of a wrong configuration.
pub(super) fn run(context: Context, terminal: &mut Terminal<'_>) -> ExitCode {
    match context.load() {
        Ok(loaded) => crate::app::serve(loaded),
        Err(errors) => finish(terminal.refuse(&errors)),
    }
}
