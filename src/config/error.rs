//! What is wrong with the configuration (floor 0): every finding at once, each with key, value, place and remedy.
//!
//! What must stay true: a secret's value never appears in a finding. Made by `config` alone, shown by `cli`.

use std::fmt;

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The key as a person would set it: `DB_POOL_MAX`, `ROCKET_PORT`, or a file's name when it can't be read.
    pub key: String,
    /// The refused value, masked when it is a secret; `None` when there is none to show.
    pub value: Option<String>,
    /// Where it came from: `environment variable DB_POOL_MAX`, `Rocket.toml, key db_pool_max`.
    pub source: Option<String>,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl ConfigError {
    /// A finding without a value or a source.
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
            source: None,
            problem: problem.into(),
        }
    }

    pub(super) fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(super) fn from(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value:?}")?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.source {
            Some(source) => write!(f, " (from {source})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with the configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What loading found so far: errors stop the start, warnings are shown.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
}
