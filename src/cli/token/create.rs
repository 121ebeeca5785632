//! `mainstay token create` (floor 8).
//!
//! What must stay true: standard output gets the token and nothing else, so that a script can capture it.

use std::io;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;

use super::expiry::{self, Expiry};
use crate::access::{InvalidToken, NewToken, Scope, TokenFile, create};
use crate::cli::terminal::{Exit, Terminal};
use crate::clock::rfc3339_ms;

const AFTER_HELP: &str = "\
Scopes:
  monitor:read   see health, statistics, errors and circuit breakers
  monitor:write  change groups, breakers, pools and alerts; includes monitor:read
  ingest         report error events, and nothing else
  data:read      read documents
  data:write     change documents; includes data:read
  admin          everything

The token is printed once, alone on standard output; only a hash of it is kept. A running server accepts it within a
second. As soon as the first token exists, everything but the probes asks for one.

Examples:
  mainstay token create --scope admin --name me
  mainstay token create --scope ingest --name shop --expires 90d
  mainstay token create --scope data:read,data:write --collection notes
  TOKEN=$(mainstay token create --scope monitor:read --expires 2030-01-01T00:00:00Z)
  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:3000/api/monitoring/stats";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// What the token allows; give it several times or separate scopes with commas
    #[arg(long, required = true, value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    scope: Vec<Scope>,
    /// Narrow data:read and data:write to this collection
    #[arg(long, value_name = "COLLECTION", value_parser = label)]
    collection: Option<String>,
    /// When the token ends: a span such as 30d, 12h, 45m or 8w (s, m, h, d, w), or a time such as 2030-01-01T00:00:00Z.
    /// Never, when left out
    #[arg(long, value_name = "WHEN", value_parser = expiry::parse)]
    expires: Option<Expiry>,
    /// A name for people, shown in lists and logs
    #[arg(long, value_name = "NAME", value_parser = label)]
    name: Option<String>,
}

pub(super) fn run(
    arguments: Arguments,
    file: &TokenFile,
    now: Timestamp,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let new = NewToken {
        name: arguments.name,
        scopes: arguments.scope,
        collection: arguments.collection,
        expires_at: arguments.expires.map(|expiry| expiry.after(now)),
    };
    let created = match create(file, new, now) {
        Ok(created) => created,
        Err(InvalidToken::File(error)) => return terminal.fail(&error),
        Err(error) => {
            terminal.fail(&error)?;
            return Ok(Exit::Misused);
        }
    };
    writeln!(terminal.out, "{}", created.text)?;
    let record = &created.record;
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.name()).collect();
    let end = record.expires_at.map_or_else(|| "never".into(), rfc3339_ms);
    writeln!(
        terminal.err,
        "Token {} allows {}; it expires: {end}.",
        record.id,
        scopes.join(", ")
    )?;
    writeln!(
        terminal.err,
        "Keep it now: it is shown once. Send it as `Authorization: Bearer TOKEN`."
    )?;
    Ok(Exit::Done)
}

fn scopes() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::name)).try_map(|name| name.parse::<Scope>())
}

/// Text that can stand in a list: no control characters, not empty, not endless.
fn label(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err("must have 1 to 100 characters and no control characters".into());
    }
    Ok(text.into())
}
