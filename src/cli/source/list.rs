//! `mainstay source list` (floor 8).

use std::io;

use clap::Args;
use serde_json::{Value, json};

use crate::access::SourceFile;
use crate::cli::terminal::{Exit, Terminal};
use crate::clock::rfc3339_ms;

const AFTER_HELP: &str = "\
Examples:
  mainstay source list
  mainstay source list --json | jq -r '.sources[].name'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, file: &SourceFile, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let sources = match file.read() {
        Ok(sources) => sources.unwrap_or_default(),
        Err(error) => return terminal.fail(&error),
    };
    if arguments.json {
        let shown = sources.iter().map(|source| {
            json!({ "name": source.name, "project": source.project, "limit": source.limit,
                    "createdAt": rfc3339_ms(source.created_at) })
        });
        writeln!(
            terminal.out,
            "{:#}",
            json!({ "sources": shown.collect::<Vec<Value>>() })
        )?;
    } else if sources.is_empty() {
        writeln!(
            terminal.err,
            "There are no sources; make one with `mainstay source create NAME`."
        )?;
    } else {
        let heading = ["PROJECT", "NAME", "LIMIT", "CREATED"].map(String::from);
        let rows = sources.iter().map(|source| {
            [
                source.project.to_string(),
                source.name.clone(),
                source.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
                rfc3339_ms(source.created_at),
            ]
        });
        terminal.table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}
