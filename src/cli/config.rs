//! `mainstay config` (floor 8): every setting in force and where it came from, secrets masked.

use std::io;

use clap::Args;
use serde_json::json;

use super::Context;
use super::terminal::{Exit, Terminal};
use crate::config::{Effective, Loaded};

const AFTER_HELP: &str = "\
Wrong settings are listed on standard error, all at once, and the exit code is 2.

Examples:
  mainstay config
  DB_POOL_MAX=20 mainstay config
  mainstay config --json | jq '.settings[] | select(.source != \"default\")'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Print JSON, with each setting's default, unit, allowed values and meaning
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(errors) => return terminal.refuse(&errors),
    };
    if arguments.json {
        let document = json!({ "settings": loaded.effective, "warnings": loaded.warnings });
        writeln!(terminal.out, "{document:#}")?;
    } else {
        print_table(&loaded, terminal)?;
    }
    for warning in &loaded.warnings {
        writeln!(terminal.err, "warning: {warning}")?;
    }
    Ok(Exit::Done)
}

fn print_table(loaded: &Loaded, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let heading = ["SETTING", "VALUE", "UNIT", "SOURCE"].map(String::from);
    let row = |setting: &Effective| {
        let value = setting.value.clone().unwrap_or_else(|| "(unset)".into());
        [setting.name.into(), value, setting.unit.into(), setting.source.clone()]
    };
    let rows: Vec<_> = std::iter::once(heading)
        .chain(loaded.effective.iter().map(row))
        .collect();
    terminal.table(&rows)
}
