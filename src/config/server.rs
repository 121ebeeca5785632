//! Rocket's own part of the configuration (floor 0): our defaults for its keys, and its errors in our words.
//!
//! What must stay true: shutdown is ours (`app` listens for the signals), so that Rocket's own handlers are always
//! off; the client's address comes from the socket unless somebody sets `ip_header`. Called by `layers` and `load`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use figment::providers::Serialized;
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use rocket::config::{Config, Ident, LogLevel, Shutdown};

use super::error::{ConfigError, Findings};
use super::text::text_of;

/// How long a connection may say nothing, unless `keep_alive` says otherwise.
pub const SILENCE: Duration = Duration::from_secs(75);

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

/// What a key of Rocket's may be, where Rocket itself would only name a Rust type.
const ALLOWED: &[(&str, &str)] = &[
    (
        "address",
        "an IP address such as 127.0.0.1, ::1 or 0.0.0.0 (not a name)",
    ),
    ("port", "a whole number from 0 to 65535 (0 takes a free port)"),
];

/// The compiled-in values of Rocket's keys.
pub(super) fn defaults() -> Dict {
    let config = Config {
        address: Ipv4Addr::LOCALHOST.into(),
        port: 3000,
        ident: Ident::try_new("Mainstay").expect("a plain word is a valid header value"),
        ip_header: None,
        keep_alive: SILENCE.as_secs() as u32,
        // Our own logging speaks; Rocket's would say everything twice.
        log_level: LogLevel::Off,
        cli_colors: false,
        // Together below the 10 s that container runtimes give, so that draining and the checkpoint fit in too.
        shutdown: Shutdown {
            ctrlc: false,
            signals: Default::default(),
            grace: 4,
            mercy: 1,
            ..Shutdown::default()
        },
        ..Config::debug_default()
    };
    let mut data = Serialized::defaults(config)
        .data()
        .expect("Rocket's configuration is a table");
    data.remove(&Profile::Default).unwrap_or_default()
}

/// Checks Rocket's keys; every wrong one is a finding. Gives where to listen when address and port are right.
pub(super) fn check(figment: &Figment, findings: &mut Findings) -> Option<Listen> {
    let mut probe = figment.clone();
    let mut wrong: Vec<String> = Vec::new();
    // Extraction stops at the first wrong key: take that key's default and go on, so that all of them are reported.
    loop {
        let error = match probe.extract::<Config>() {
            Ok(config) if wrong.is_empty() => {
                return Some(Listen {
                    address: config.address,
                    port: config.port,
                });
            }
            Ok(_) => return None,
            Err(error) => error,
        };
        let key = error.path.first().cloned().unwrap_or_default();
        // A default can't repair every table (an unknown limit, say): the same key again ends the search.
        if wrong.contains(&key) {
            return None;
        }
        findings.errors.push(explain(figment, &error));
        let default = defaults().remove(&key)?;
        probe = probe.merge(Serialized::global(&key, default));
        wrong.push(key);
    }
}

/// Rocket's own signal handling would race with ours.
pub(super) fn own_shutdown(figment: Figment, findings: &mut Findings) -> Figment {
    let rocket_listens = figment
        .extract_inner::<Shutdown>("shutdown")
        .is_ok_and(|s| s.ctrlc || !s.signals.is_empty());
    if rocket_listens {
        let warning = "shutdown.ctrlc and shutdown.signals are ignored: Mainstay ends on SIGINT and SIGTERM by itself";
        findings.warnings.push(warning.into());
    }
    figment
        .merge(Serialized::global("shutdown.ctrlc", false))
        .merge(Serialized::global("shutdown.signals", Vec::<String>::new()))
}

fn explain(figment: &Figment, error: &figment::Error) -> ConfigError {
    let path = error.path.join(".");
    let name = format!("ROCKET_{}", path.to_ascii_uppercase());
    let allowed = ALLOWED.iter().find(|(key, _)| *key == path);
    let problem = match allowed {
        Some((_, allowed)) => format!("must be {allowed}"),
        None => error.kind.to_string(),
    };
    let mut finding = ConfigError::new(name, problem);
    if allowed.is_some()
        && let Ok(value) = figment.find_value(&path)
    {
        finding = finding.with_value(text_of(&value).unwrap_or_else(|kind| kind.into()));
    }
    match &error.metadata {
        Some(metadata) => finding.from(metadata.interpolate(figment.profile(), &error.path)),
        None => finding,
    }
}

/// The rows of `mainstay config` that are Rocket's: variable, key, description.
pub(super) const SHOWN: &[(&str, &str, &str)] = &[
    (
        "ROCKET_ADDRESS",
        "address",
        "the IP address to listen on; anything but loopback needs a token",
    ),
    ("ROCKET_PORT", "port", "the TCP port to listen on"),
];

/// What a shown key of Rocket's may be.
pub(super) fn allowed(key: &str) -> &'static str {
    ALLOWED
        .iter()
        .find(|(name, _)| *name == key)
        .map_or("", |(_, allowed)| allowed)
}

/// A default of Rocket's as text.
pub(super) fn default_text(key: &str) -> Option<String> {
    defaults().get(key).and_then(|value: &Value| text_of(value).ok())
}
