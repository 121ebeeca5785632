//! The sources as figment providers (floor 0): each value remembers the exact place that it came from.
//!
//! What must stay true: Mainstay's own values travel as raw text, never guessed into numbers or booleans, so that a
//! folder called `1` stays a folder; the environment beats every profile of Rocket.toml. Called by `load` alone.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{ConfigError, Findings};
use super::keys::{KEYS, Key};
use super::{Sources, server};

/// A settings file holds one value; more than this is a mistake (a device, a log).
const VALUE_FILE_LIMIT: u64 = 64 << 10;

/// One source's values, and how it names the place of each.
struct Layer {
    metadata: Metadata,
    values: Map<Profile, Dict>,
}

impl Layer {
    fn new(metadata: Metadata, profile: Profile, values: Dict) -> Self {
        Self {
            metadata,
            values: Map::from([(profile, values)]),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(self.values.clone())
    }
}

/// All sources, later ones winning: defaults, Rocket.toml, environment, files that the environment names.
pub(super) fn stack(sources: &Sources, findings: &mut Findings) -> Figment {
    let mut figment = Figment::new()
        .merge(defaults())
        .select(profile(sources))
        .merge(toml_layer(sources, findings));
    for layer in rocket_environment(sources, findings) {
        figment = figment.merge(layer);
    }
    figment = figment.merge(environment(sources, findings));
    for key in KEYS {
        if let Some(layer) = named_file(sources, key, findings) {
            figment = figment.merge(layer);
        }
    }
    figment
}

/// A variable's raw value.
pub(super) fn variable<'s>(sources: &'s Sources, name: &str) -> Option<&'s OsStr> {
    let found = sources.environment.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_os_str())
}

fn profile(sources: &Sources) -> Profile {
    match variable(sources, "ROCKET_PROFILE").and_then(OsStr::to_str) {
        Some(name) if !name.is_empty() => Profile::new(name),
        _ => rocket::Config::DEFAULT_PROFILE,
    }
}

fn defaults() -> Layer {
    let mut values = server::defaults();
    for key in KEYS {
        if let Some(default) = key.default {
            values.insert(key.field(), default.into());
        }
    }
    let metadata = Metadata::named("default").interpolater(|_: &Profile, _: &[&str]| "default".into());
    Layer::new(metadata, Profile::Default, values)
}

/// The profiles of Rocket.toml. Text that isn't TOML and keys outside a profile are findings, not a reason to stop
/// looking at the other sources.
fn toml_layer(sources: &Sources, findings: &mut Findings) -> Layer {
    let Some(file) = &sources.toml else {
        return Layer::new(Metadata::named("no file"), Profile::Default, Dict::new());
    };
    let shown = file.path.display().to_string();
    let mut values = Map::new();
    match Toml::from_str::<Dict>(&file.text) {
        Ok(top) => {
            for (name, value) in top {
                match value {
                    Value::Dict(_, profile) => {
                        values.insert(Profile::new(&name), profile);
                    }
                    _ => findings.errors.push(ConfigError::new(
                        shown.clone(),
                        format!("the key {name} stands outside a profile: write it below a line that says [default]"),
                    )),
                }
            }
        }
        Err(error) => findings.errors.push(ConfigError::new(
            shown.clone(),
            format!("is not valid TOML: {}", error.to_string().trim_end()),
        )),
    }
    // The path is the metadata's source, because Rocket resolves the paths of its own keys (tls) against it.
    let metadata = Metadata::from("TOML file", file.path.as_path())
        .interpolater(move |_: &Profile, keys: &[&str]| format!("{shown}, key {}", keys.join(".")));
    Layer { metadata, values }
}

/// `ROCKET_*`: Rocket's own keys, read as Rocket reads them (numbers, booleans, `{a=1}`, case-insensitive names, a
/// point between a table and its member). A layer each, because figment is what merges tables.
fn rocket_environment(sources: &Sources, findings: &mut Findings) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (name, value) in &sources.environment {
        let Some(name) = name.to_str().map(str::to_ascii_lowercase) else {
            continue;
        };
        let Some(key) = name.strip_prefix("rocket_") else {
            continue;
        };
        if matches!(key, "" | "profile" | "config") {
            continue;
        }
        let Some(text) = value.to_str() else {
            findings.errors.push(not_unicode(&name.to_ascii_uppercase()));
            continue;
        };
        let parsed: Value = text.parse().expect("figment reads any text as some value");
        if let Some(values) = nest(key, parsed).into_dict() {
            layers.push(Layer::new(environment_metadata("ROCKET_"), Profile::Global, values));
        }
    }
    layers
}

/// Mainstay's own keys by their names.
fn environment(sources: &Sources, findings: &mut Findings) -> Layer {
    let mut values = Dict::new();
    for key in KEYS {
        match variable(sources, key.name).map(OsStr::to_str) {
            Some(Some(text)) => {
                values.insert(key.field(), text.into());
            }
            Some(None) => findings.errors.push(not_unicode(key.name)),
            None => {}
        }
    }
    Layer::new(environment_metadata(""), Profile::Global, values)
}

fn environment_metadata(prefix: &'static str) -> Metadata {
    Metadata::named("environment").interpolater(move |_: &Profile, keys: &[&str]| {
        format!("environment variable {prefix}{}", keys.join(".").to_ascii_uppercase())
    })
}

fn not_unicode(name: &str) -> ConfigError {
    ConfigError::new(name, "must be valid UTF-8").from(format!("environment variable {name}"))
}

/// `NAME_FILE`: the value is that file's text, without blanks and line ends around it.
fn named_file(sources: &Sources, key: &Key, findings: &mut Findings) -> Option<Layer> {
    let file_variable = format!("{}_FILE", key.name);
    let path = Path::new(variable(sources, &file_variable)?);
    if variable(sources, key.name).is_some() {
        findings.errors.push(ConfigError::new(
            key.name,
            format!(
                "is set twice, as {} and as {file_variable}: remove one of them",
                key.name
            ),
        ));
        return None;
    }
    let source = format!("file {} named by {file_variable}", path.display());
    match read_value(path) {
        Ok(text) => {
            let metadata = Metadata::named("file").interpolater(move |_: &Profile, _: &[&str]| source.clone());
            let values = Dict::from([(key.field(), text.trim().into())]);
            Some(Layer::new(metadata, Profile::Global, values))
        }
        Err(error) => {
            let finding = ConfigError::new(key.name, format!("its file can't be read: {error}"));
            findings.errors.push(finding.from(source));
            None
        }
    }
}

pub(super) fn read_value(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(VALUE_FILE_LIMIT + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > VALUE_FILE_LIMIT {
        return Err(std::io::Error::other("it is longer than 64 KiB"));
    }
    Ok(text)
}
