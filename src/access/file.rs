//! The token file (floor 2): `<data folder>/tokens.json`, versioned, mode 0600, replaced as a whole.
//!
//! What must stay true: a reader sees the old file or the new one, never half of either; two processes that change
//! it wait for each other (`tokens.lock`), so that neither's change is lost; a member that this version doesn't know
//! is an error, because it might narrow what a token allows. Used inside `access`, and by `cli` to list.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Scope;
use super::token::{self, SecretHash};

const VERSION: u32 = 1;

/// A token as it is kept: all but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRecord {
    /// The public part, 8 hexadecimal digits.
    pub id: String,
    /// What its maker called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it allows; never empty.
    pub scopes: Vec<Scope>,
    /// The only collection that its data scopes reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// SHA-256 of the secret, 64 hexadecimal digits.
    pub hash: String,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
    /// When it ends; `None` is never.
    #[serde(default, with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it has ended at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// What is wrong with a record that parsed.
    fn flaw(&self) -> Option<&'static str> {
        if !token::is_id(&self.id) {
            Some("an id that is not 8 hexadecimal digits")
        } else if SecretHash::from_hex(&self.hash).is_none() {
            Some("a hash that is not 64 hexadecimal digits")
        } else if self.scopes.is_empty() {
            Some("a token without scopes")
        } else {
            None
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    tokens: Vec<TokenRecord>,
}

/// The version alone, so that a newer file is told from a broken one.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Why the token file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// Reading, writing, locking or creating failed.
    #[error("{path}: can't {action}: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It is not a token file.
    #[error(
        "{path}: is not a valid token file: {detail}; restore it from a backup, or remove it and make new tokens",
        path = .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer Mainstay wrote it.
    #[error(
        "{path}: has version {version}, this Mainstay knows {VERSION}: use the newer Mainstay that wrote it",
        path = .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// The token file of a data folder; it need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The token file of `data_dir`.
    pub fn in_folder(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join("tokens.json"),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens, or `None` where there is no file. Blocking.
    ///
    /// # Errors
    /// It can't be read or isn't a token file of this version.
    pub fn read(&self) -> Result<Option<Vec<TokenRecord>>, TokenFileError> {
        match fs::read(&self.path) {
            Ok(bytes) => self.parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io("read it", error)),
        }
    }

    /// Changes the tokens under the lock; `change` gets what is there now. Creates folder and file. Blocking: waits
    /// for another process that is changing it.
    ///
    /// # Errors
    /// The file can't be read or written, or `change` refused; nothing has changed then.
    pub fn update<T, E: From<TokenFileError>>(
        &self,
        change: impl FnOnce(&mut Vec<TokenRecord>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock()?;
        let before = self.read()?.unwrap_or_default();
        let mut tokens = before.clone();
        let answer = change(&mut tokens)?;
        if tokens != before {
            self.replace(tokens).map_err(|error| self.io("write it", error))?;
        }
        Ok(answer)
    }

    /// Held until the returned file is dropped.
    fn lock(&self) -> Result<File, TokenFileError> {
        let folder = self.folder();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| TokenFileError::Io {
            path: folder.into(),
            action: "create this folder",
            source,
        })?;
        let path = folder.join("tokens.lock");
        let open = || -> io::Result<File> {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| TokenFileError::Io {
            path: path.clone(),
            action: "lock it",
            source,
        })
    }

    fn replace(&self, tokens: Vec<TokenRecord>) -> io::Result<()> {
        let content = Content {
            version: VERSION,
            tokens,
        };
        let mut text = serde_json::to_vec_pretty(&content)?;
        text.push(b'\n');
        let temporary = self.path.with_extension("json.new");
        // Left behind by a process that died here; the lock says that nobody is writing it now.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(self.folder())?.sync_all()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<TokenRecord>, TokenFileError> {
        let malformed = |detail: String| TokenFileError::Malformed {
            path: self.path.clone(),
            detail,
        };
        let version: Version = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if version.version > VERSION {
            return Err(TokenFileError::Newer {
                path: self.path.clone(),
                version: version.version,
            });
        }
        let content: Content = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let mut ids = HashSet::new();
        for record in &content.tokens {
            if let Some(flaw) = record.flaw() {
                return Err(malformed(format!("it has {flaw}")));
            }
            if !ids.insert(&record.id) {
                return Err(malformed(format!("it has two tokens with the id {}", record.id)));
            }
        }
        Ok(content.tokens)
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn io(&self, action: &'static str, source: io::Error) -> TokenFileError {
        TokenFileError::Io {
            path: self.path.clone(),
            action,
            source,
        }
    }
}

/// Timestamps as RFC 3339 text.
mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::clock::rfc3339_ms(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod rfc3339_option {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::rfc3339::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
