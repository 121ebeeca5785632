//! Small files of what must outlive a broken database (floor 2): versioned JSON, mode 0600, replaced as a whole.
//!
//! What must stay true: a reader sees the old file or the new one, never half of either; two processes that change
//! it wait for each other (a `.lock` beside it), so that neither's change is lost; a member that this version doesn't
//! know is an error, because it might narrow what a record allows. Used inside `access`, and by `cli` to list.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const VERSION: u32 = 1;

/// What such a file keeps a list of.
pub trait Kept: Clone + PartialEq + Serialize + DeserializeOwned {
    /// The file's name in the data folder.
    const FILE: &'static str;
    /// The name of the list in it.
    const LIST: &'static str;
    /// What one is called.
    const WHAT: &'static str;

    /// What no two of them share.
    fn id(&self) -> String;

    /// What is wrong with one that parsed.
    fn flaw(&self) -> Option<&'static str>;
}

/// The version alone, so that a newer file is told from a broken one.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Why such a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
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
    /// It is not what its name says.
    #[error(
        "{path}: is not a valid {what} file: {detail}; restore it from a backup, or remove it and make new {what}s",
        path = .path.display()
    )]
    Malformed {
        /// What it keeps.
        what: &'static str,
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

/// The file of a data folder that keeps `R`s; it need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile<R> {
    path: PathBuf,
    kept: PhantomData<fn() -> R>,
}

impl<R: Kept> KeptFile<R> {
    /// That of `data_dir`.
    pub fn in_folder(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(R::FILE),
            kept: PhantomData,
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The records, or `None` where there is no file. Blocking.
    ///
    /// # Errors
    /// It can't be read or isn't such a file of this version.
    pub fn read(&self) -> Result<Option<Vec<R>>, KeptError> {
        match fs::read(&self.path) {
            Ok(bytes) => self.parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io("read it", error)),
        }
    }

    /// Changes the records under the lock; `change` gets what is there now. Creates folder and file. Blocking: waits
    /// for another process that is changing it.
    ///
    /// # Errors
    /// The file can't be read or written, or `change` refused; nothing has changed then.
    pub fn update<T, E: From<KeptError>>(&self, change: impl FnOnce(&mut Vec<R>) -> Result<T, E>) -> Result<T, E> {
        let _lock = self.lock()?;
        let before = self.read()?.unwrap_or_default();
        let mut records = before.clone();
        let answer = change(&mut records)?;
        if records != before {
            self.replace(&records).map_err(|error| self.io("write it", error))?;
        }
        Ok(answer)
    }

    /// Held until the returned file is dropped.
    fn lock(&self) -> Result<File, KeptError> {
        let folder = self.folder();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| KeptError::Io {
            path: folder.into(),
            action: "create this folder",
            source,
        })?;
        let path = self.path.with_extension("lock");
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
        open().map_err(|source| KeptError::Io {
            path: path.clone(),
            action: "lock it",
            source,
        })
    }

    fn replace(&self, records: &[R]) -> io::Result<()> {
        let content = json!({ "version": VERSION, R::LIST: records });
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

    fn parse(&self, bytes: &[u8]) -> Result<Vec<R>, KeptError> {
        let malformed = |detail: String| KeptError::Malformed {
            path: self.path.clone(),
            what: R::WHAT,
            detail,
        };
        let unreadable = |error: serde_json::Error| malformed(error.to_string());
        let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version.version > VERSION {
            return Err(KeptError::Newer {
                path: self.path.clone(),
                version: version.version,
            });
        }
        let mut content: Map<String, Value> = serde_json::from_slice(bytes).map_err(unreadable)?;
        content.remove("version");
        let records = content.remove(R::LIST).unwrap_or_default();
        if let Some(name) = content.keys().next() {
            return Err(malformed(format!("it has an unknown member {name}")));
        }
        let records: Vec<R> = serde_json::from_value(records).map_err(unreadable)?;
        let mut ids = HashSet::new();
        for record in &records {
            if let Some(flaw) = record.flaw() {
                return Err(malformed(format!("it has {flaw}")));
            }
            if !ids.insert(record.id()) {
                return Err(malformed(format!(
                    "it has two {}s with the id {}",
                    R::WHAT,
                    record.id()
                )));
            }
        }
        Ok(records)
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn io(&self, action: &'static str, source: io::Error) -> KeptError {
        KeptError::Io {
            path: self.path.clone(),
            action,
            source,
        }
    }
}
