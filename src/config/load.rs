//! From the sources to checked settings (floor 0): extract, check, compare, and remember where each value came from.
//!
//! What must stay true: a function of its argument alone (apart from the files that `*_FILE` variables name), and
//! every wrong key is reported at once. Called by `cli`.

use std::net::{IpAddr, SocketAddr};

use figment::Figment;
use figment::value::Value;
use serde::Serialize;

use super::error::{ConfigError, ConfigErrors, Findings};
use super::keys::{self, KEYS, Key};
use super::text::text_of;
use super::{Settings, Sources, layers, server, unknown};

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The environment variable that sets it.
    pub name: &'static str,
    /// The value as text, masked when it is a secret; `None` when unset.
    pub value: Option<String>,
    /// Where it came from: `default`, `environment variable DB_POOL_MAX`, `Rocket.toml, key db_pool_max`.
    pub source: String,
    /// The compiled-in value.
    pub default: Option<String>,
    /// What a number counts; empty for other values.
    pub unit: &'static str,
    /// What is allowed.
    pub allowed: String,
    /// What it does.
    pub about: &'static str,
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Mainstay's own settings.
    pub settings: Settings,
    /// What Rocket is built from (`rocket::custom`); its own keys are checked too.
    pub figment: Figment,
    /// Where the server listens.
    pub address: IpAddr,
    /// The port, 0 for any free one.
    pub port: u16,
    /// Every setting with its source, for people.
    pub effective: Vec<Effective>,
    /// What looks wrong but does not stop the start.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Where the server is to listen.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// Loads the configuration: compiled-in defaults, then Rocket.toml, then environment, then files it names.
///
/// # Errors
/// All wrong, contradictory and unknown settings at once.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let mut findings = Findings::default();
    unknown::look_for(sources, &mut findings);
    let figment = layers::stack(sources, &mut findings);
    let mut settings = Settings::default();
    let mut wrong = Vec::new();
    for key in KEYS {
        if let Err(error) = apply(&figment, key, &mut settings) {
            findings.errors.push(error);
            wrong.push(key.name);
        }
    }
    contradictions(&figment, &wrong, &mut findings);
    let listen = server::check(&figment, &mut findings);
    let figment = server::own_shutdown(figment, &mut findings);
    match listen {
        Some(listen) if findings.errors.is_empty() => Ok(Loaded {
            effective: effective(&figment),
            settings,
            figment,
            address: listen.address,
            port: listen.port,
            warnings: findings.warnings,
        }),
        _ => Err(ConfigErrors(findings.errors)),
    }
}

/// The one value of a key, checked and put into its field.
fn apply(figment: &Figment, key: &Key, settings: &mut Settings) -> Result<(), ConfigError> {
    let Ok(value) = figment.find_value(&key.field()) else {
        return Ok(());
    };
    let source = source_of(figment, &value, &key.field());
    let text = text_of(&value).map_err(|found| {
        ConfigError::new(key.name, format!("must be {}, not {found}", key.allowed())).from(source.clone())
    })?;
    key.apply(&text, settings).map_err(|problem| {
        ConfigError::new(key.name, problem)
            .with_value(key.shown(&text))
            .from(source)
    })
}

/// `(smaller, larger)`: the first must not be above the second.
const ORDERED: &[(&str, &str)] = &[
    ("DB_POOL_MIN", "DB_POOL_MAX"),
    ("DB_LOCK_TIMEOUT_MS", "DB_OPERATION_TIMEOUT_MS"),
];

/// Rules between two settings; looked at only when both are right by themselves.
fn contradictions(figment: &Figment, wrong: &[&str], findings: &mut Findings) {
    let number = |name: &str| -> Option<(u64, String)> {
        let field = keys::by_name(name)?.field();
        let value = figment.find_value(&field).ok()?;
        Some((text_of(&value).ok()?.parse().ok()?, source_of(figment, &value, &field)))
    };
    for (smaller, larger) in ORDERED {
        if wrong.contains(smaller) || wrong.contains(larger) {
            continue;
        }
        let (Some((low, low_source)), Some((high, high_source))) = (number(smaller), number(larger)) else {
            continue;
        };
        if low > high {
            let problem = format!(
                "must not be above {larger} = {high} (from {high_source}): \
                 lower {smaller} to {high} or less, or raise {larger}"
            );
            findings.errors.push(
                ConfigError::new(*smaller, problem)
                    .with_value(low.to_string())
                    .from(low_source),
            );
        }
    }
}

fn effective(figment: &Figment) -> Vec<Effective> {
    let rocket = server::SHOWN.iter().map(|(name, key, about)| {
        let (value, source) = shown(figment, key);
        let (default, allowed) = (server::default_text(key), server::allowed(key).into());
        Effective {
            name,
            value,
            source,
            default,
            unit: "",
            allowed,
            about,
        }
    });
    let ours = KEYS.iter().map(|key| {
        let (value, source) = shown(figment, &key.field());
        Effective {
            name: key.name,
            value: value.map(|text| key.shown(&text)),
            source,
            default: key.default.map(Into::into),
            unit: key.unit,
            allowed: key.allowed(),
            about: key.about,
        }
    });
    rocket.chain(ours).collect()
}

/// A value's text and source; the source of an unset one is the default, which is to be unset.
fn shown(figment: &Figment, field: &str) -> (Option<String>, String) {
    match figment.find_value(field) {
        Ok(value) => (text_of(&value).ok(), source_of(figment, &value, field)),
        Err(_) => (None, "default".into()),
    }
}

fn source_of(figment: &Figment, value: &Value, field: &str) -> String {
    let metadata = figment.get_metadata(value.tag());
    metadata.map_or_else(
        || "default".into(),
        |metadata| metadata.interpolate(figment.profile(), &[field]),
    )
}
