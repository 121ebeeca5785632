//! `mainstay source create` (floor 8).
//!
//! What must stay true: standard output gets the DSN and nothing else, so that a script can capture it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use clap::Args;
use jiff::Timestamp;

use crate::access::{InvalidSource, SourceFile, create_source};
use crate::app::running_instance;
use crate::cli::terminal::{Exit, Terminal};
use crate::config::Loaded;

const AFTER_HELP: &str = "\
The DSN is printed once, alone on standard output; only a hash of its key is kept. The key allows reporting events
under this name and nothing else, so it may stand in a web page. A running server accepts it within a second, from
any address that it listens on; a source closes nothing that is open without it.

Examples:
  mainstay source create shop
  mainstay source create web --url https://errors.example.com
  DSN=$(mainstay source create worker 2>/dev/null)";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// What its events say in `source`: the program that reports
    #[arg(value_name = "NAME")]
    name: String,
    /// Where the programs reach this server, with a path where a proxy adds one; by default where it listens
    #[arg(long, value_name = "BASE", value_parser = base)]
    url: Option<Base>,
    /// Most events a minute, instead of MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    limit: Option<u32>,
}

/// The scheme, and host with port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    scheme: String,
    place: String,
}

pub(super) fn run(
    arguments: &Arguments,
    file: &SourceFile,
    loaded: &Loaded,
    now: Timestamp,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let created = match create_source(file, &arguments.name, arguments.limit, now) {
        Ok(created) => created,
        Err(error @ InvalidSource::Name) => {
            terminal.fail(&error)?;
            return Ok(Exit::Misused);
        }
        Err(error) => return terminal.fail(&error),
    };
    let Base { scheme, place } = arguments
        .url
        .clone()
        .or_else(|| running(loaded))
        .unwrap_or_else(|| listening(loaded));
    let dsn = format!("{scheme}://{}@{place}/{}", created.key, created.record.project);
    writeln!(terminal.out, "{dsn}")?;
    write!(terminal.err, "{}", explained(&dsn, &created.record.name))?;
    Ok(Exit::Done)
}

/// Where the server that has the data folder really listens: an SDK with another port in its DSN tells nobody that its
/// events are lost.
fn running(loaded: &Loaded) -> Option<Base> {
    let url = running_instance(&loaded.settings.storage.data_dir)?.url?;
    let (scheme, address) = url.split_once("://")?;
    Some(Base {
        scheme: scheme.to_owned(),
        place: as_called_here(address.parse().ok()?),
    })
}

/// An address as this machine would call it.
fn as_called_here(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address.to_string()
}

/// Where this configuration listens.
fn listening(loaded: &Loaded) -> Base {
    let secure = rocket::Config::try_from(&loaded.figment).is_ok_and(|config| config.tls_enabled());
    Base {
        scheme: if secure { "https" } else { "http" }.to_owned(),
        place: as_called_here(loaded.listen_address()),
    }
}

fn base(text: &str) -> Result<Base, String> {
    const ALLOWED: &str = "must be like https://errors.example.com, http://127.0.0.1:3000 or https://host/path";
    let (scheme, place) = text.split_once("://").ok_or(ALLOWED)?;
    let place = place.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]/%".contains(c);
    let host = place.split('/').next().unwrap_or_default();
    let port = host
        .rsplit_once(':')
        .filter(|_| !host.ends_with(']'))
        .map(|(_, port)| port);
    let has_port = port.is_none_or(|port| port.parse::<NonZeroU16>().is_ok());
    if !matches!(scheme, "http" | "https") || host.is_empty() || !has_port || !place.chars().all(plain) {
        return Err(ALLOWED.to_owned());
    }
    Ok(Base {
        scheme: scheme.to_owned(),
        place: place.to_owned(),
    })
}

/// What to do with the DSN, ready to be pasted.
fn explained(dsn: &str, name: &str) -> String {
    format!(
        "\nThat is the DSN of {name:?}. Keep it now: it is shown once. Any Sentry SDK reports with it:

Python   pip install sentry-sdk
         import sentry_sdk
         sentry_sdk.init(dsn=\"{dsn}\")

Node     npm install @sentry/node
         const Sentry = require(\"@sentry/node\");
         Sentry.init({{ dsn: \"{dsn}\" }});

Browser  npm install @sentry/browser
         import * as Sentry from \"@sentry/browser\";
         Sentry.init({{ dsn: \"{dsn}\" }});

Rust     cargo add sentry
         let _guard = sentry::init(\"{dsn}\");
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_url_without_a_query() {
        let of = |text: &str| base(text).map(|base| format!("{} {}", base.scheme, base.place));
        assert_eq!(of("https://errors.example.com/").unwrap(), "https errors.example.com");
        assert_eq!(of("http://[::1]:3000/a/b").unwrap(), "http [::1]:3000/a/b");
        for wrong in [
            "",
            "host",
            "ftp://host",
            "http://",
            "http:///a",
            "http://a@b",
            "http://a?b",
            "http://a b",
            "http://a:99999",
            "http://a:0/b",
        ] {
            assert!(of(wrong).unwrap_err().contains("https://errors.example.com"), "{wrong}");
        }
    }
}
