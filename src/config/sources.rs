//! Where settings come from (floor 0): the process environment and the text of Rocket.toml, as plain values.
//!
//! What must stay true: this is the only file of the room that looks at the process; everything after it is a
//! function of [`Sources`], so that tests need neither an environment nor a working directory of their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{ConfigError, ConfigErrors, layers};

/// The variable that commands read; known beside the settings.
pub(super) const TOKEN: &str = "MAINSTAY_TOKEN";

/// The text of a Rocket.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlFile {
    /// Its path: shown in messages, and what the paths of Rocket's own keys inside it are relative to.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// Everything that may set something, apart from the compiled-in defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Environment variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Rocket.toml, where there is one.
    pub toml: Option<TomlFile>,
}

impl Sources {
    /// This process's environment, and `ROCKET_CONFIG` or else the Rocket.toml of the working folder or of the
    /// nearest folder above it, as Rocket itself looks for it.
    ///
    /// # Errors
    /// The file is there or was named, and can't be read.
    pub fn from_process() -> Result<Self, ConfigErrors> {
        let named = std::env::var_os("ROCKET_CONFIG").filter(|name| !name.is_empty());
        let toml = match named {
            Some(path) => Some(read(Path::new(&path), "named by environment variable ROCKET_CONFIG")?),
            None => match nearest() {
                Some(path) => Some(read(&path, "found by its name")?),
                None => None,
            },
        };
        Ok(Self {
            environment: std::env::vars_os().collect(),
            toml,
        })
    }

    /// The token that a command shows to a running server: `MAINSTAY_TOKEN`, or the text of the file that
    /// `MAINSTAY_TOKEN_FILE` names. No setting of the server.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn token(&self) -> Result<Option<String>, ConfigErrors> {
        if let Some(token) = layers::variable(self, TOKEN) {
            return Ok(token.to_str().map(|token| token.trim().to_owned()));
        }
        let named = format!("{TOKEN}_FILE");
        let Some(path) = layers::variable(self, &named).map(Path::new) else {
            return Ok(None);
        };
        let text = layers::read_value(path).map_err(|error| {
            let problem = format!("its file {} can't be read: {error}", path.display());
            ConfigErrors(vec![ConfigError::new(named, problem)])
        })?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// The Rocket.toml of the working folder or of the nearest folder above it; in the working folder by its bare name.
fn nearest() -> Option<PathBuf> {
    let name = Path::new("Rocket.toml");
    if name.is_file() {
        return Some(name.into());
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn read(path: &Path, why: &str) -> Result<TomlFile, ConfigErrors> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(TomlFile {
            path: path.into(),
            text,
        }),
        Err(error) => Err(ConfigErrors(vec![ConfigError::new(
            path.display().to_string(),
            format!("this configuration file, {why}, can't be read: {error}"),
        )])),
    }
}
