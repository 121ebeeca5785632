//! Names that nobody knows (floor 0): a mistyped setting must not be silently ignored.
//!
//! What must stay true: an unknown `MAINSTAY_` name, and an unknown `db_` or `mainstay_` key in Rocket.toml, is an
//! error; an unknown `DB_` or `ROCKET_` variable is a warning, because other programs on the box use those prefixes.

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::Sources;
use super::error::{ConfigError, Findings};
use super::keys::{self, KEYS};
use super::sources::TOKEN;

/// Looks through both sources.
pub(super) fn look_for(sources: &Sources, findings: &mut Findings) {
    in_environment(sources, findings);
    in_toml(sources, findings);
}

fn in_environment(sources: &Sources, findings: &mut Findings) {
    for (name, _) in &sources.environment {
        let Some(name) = name.to_str() else { continue };
        let bare = name.strip_suffix("_FILE").unwrap_or(name);
        if keys::by_name(bare).is_some() || bare == TOKEN {
            continue;
        }
        let source = format!("environment variable {name}");
        if name.starts_with("MAINSTAY_") {
            let problem = format!("is not a setting; the nearest known name is {}", nearest(name));
            findings.errors.push(ConfigError::new(name, problem).from(source));
        } else if name.starts_with("DB_") {
            let known = nearest(name);
            findings.warnings.push(format!(
                "{source} is not a setting of Mainstay and is ignored; the nearest known name is {known}"
            ));
        } else if let Some(key) = name.strip_prefix("ROCKET_")
            && !rocket_knows(&key.to_ascii_lowercase())
        {
            let known = nearest_of(&key.to_ascii_lowercase(), rocket::Config::PARAMETERS.iter().copied());
            let known = known.to_ascii_uppercase();
            findings.warnings.push(format!(
                "{source} is not a setting of Rocket and is ignored; the nearest known name is ROCKET_{known}"
            ));
        }
    }
}

fn in_toml(sources: &Sources, findings: &mut Findings) {
    let Some(file) = &sources.toml else { return };
    // Text that isn't TOML is already a finding of `layers`.
    let Ok(top) = Toml::from_str::<Dict>(&file.text) else {
        return;
    };
    for (profile, values) in &top {
        let Value::Dict(_, values) = values else { continue };
        for key in values.keys() {
            let source = format!("{}, key {key} of [{profile}]", file.path.display());
            let upper = key.to_ascii_uppercase();
            if KEYS.iter().any(|known| known.field() == *key) || rocket_knows(key) {
                continue;
            }
            if upper.starts_with("DB_") || upper.starts_with("MAINSTAY_") {
                let known = nearest(&upper).to_ascii_lowercase();
                let problem = format!("is not a setting; the nearest known name is {known}");
                findings.errors.push(ConfigError::new(key, problem).from(source));
            } else {
                let ours = KEYS.iter().map(keys::Key::field);
                let all: Vec<String> = ours
                    .chain(rocket::Config::PARAMETERS.iter().map(ToString::to_string))
                    .collect();
                let known = nearest_of(key, all.iter().map(String::as_str));
                findings.warnings.push(format!(
                    "{source} is not a setting and is ignored; the nearest known name is {known}"
                ));
            }
        }
    }
}

/// Rocket's variables also name profile and file, and reach into tables with a point (`ROCKET_TLS.CERTS`).
fn rocket_knows(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or(key);
    matches!(first, "profile" | "config") || rocket::Config::PARAMETERS.contains(&first)
}

/// The known name nearest to a mistyped one. `MAINSTAY_DB_POOL_MAX` means `DB_POOL_MAX`, however many letters that is.
fn nearest(name: &str) -> &'static str {
    let bare = name.strip_prefix("MAINSTAY_").and_then(keys::by_name);
    bare.map_or_else(|| nearest_of(name, KEYS.iter().map(|key| key.name)), |key| key.name)
}

fn nearest_of<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> &'k str {
    known
        .min_by_key(|known| strsim::damerau_levenshtein(name, known))
        .unwrap_or_default()
}
