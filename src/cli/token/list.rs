//! `mainstay token list` (floor 8).

use std::io;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{TokenFile, TokenRecord};
use crate::cli::terminal::{Exit, Terminal};
use crate::clock::rfc3339_ms;

const AFTER_HELP: &str = "\
Examples:
  mainstay token list
  mainstay token list --json | jq -r '.tokens[] | select(.expired) | .id'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    arguments: &Arguments,
    file: &TokenFile,
    now: Timestamp,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let tokens = match file.read() {
        Ok(tokens) => tokens.unwrap_or_default(),
        Err(error) => return terminal.fail(&error),
    };
    if arguments.json {
        let tokens: Vec<Value> = tokens.iter().map(|token| as_json(token, now)).collect();
        writeln!(terminal.out, "{:#}", json!({ "tokens": tokens }))?;
    } else if tokens.is_empty() {
        writeln!(
            terminal.err,
            "There are no tokens; make one with `mainstay token create --scope admin`."
        )?;
    } else {
        let heading = ["ID", "NAME", "SCOPES", "COLLECTION", "CREATED", "EXPIRES"].map(String::from);
        let rows = tokens.iter().map(|token| as_row(token, now));
        terminal.table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}

fn as_json(token: &TokenRecord, now: Timestamp) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "collection": token.collection,
        "createdAt": rfc3339_ms(token.created_at),
        "expiresAt": token.expires_at.map(rfc3339_ms),
        "expired": token.is_expired(now),
    })
}

fn as_row(token: &TokenRecord, now: Timestamp) -> [String; 6] {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let expires = match token.expires_at {
        None => "never".into(),
        Some(end) if token.is_expired(now) => format!("{} (expired)", rfc3339_ms(end)),
        Some(end) => rfc3339_ms(end),
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    [
        token.id.clone(),
        or_dash(&token.name),
        scopes.join(","),
        or_dash(&token.collection),
        rfc3339_ms(token.created_at),
        expires,
    ]
}
