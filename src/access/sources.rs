//! Sources of events (floor 2): `<data folder>/sources.json`, each a name, a project number and the hash of a key.
//!
//! What must stay true: a key allows reporting events under its source's name and nothing else, so that it may stand
//! in a web page; a source closes nothing that is open without it; keys are compared in constant time. `cli` makes
//! and revokes them while a server may be running, `http` verifies with [`SourceStore`].

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::follow::Followed;
use super::kept::{Kept, KeptError, KeptFile};
use super::token::SecretHash;
use crate::clock::SharedClock;

/// Longest name, in bytes: that of an event's `source`.
const MAX_NAME_BYTES: usize = 128;

/// The source file of a data folder.
pub type SourceFile = KeptFile<SourceRecord>;

/// A source as it is kept: all but its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRecord {
    /// Its number in the DSN.
    pub project: u32,
    /// What its events say in `source`.
    pub name: String,
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub hash: String,
    /// Its own limit, events a minute; the general one where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// When it was made.
    #[serde(with = "super::file::rfc3339")]
    pub created_at: Timestamp,
}

impl Kept for SourceRecord {
    const FILE: &'static str = "sources.json";
    const LIST: &'static str = "sources";
    const WHAT: &'static str = "source";

    fn id(&self) -> String {
        self.project.to_string()
    }

    fn flaw(&self) -> Option<&'static str> {
        if SecretHash::from_hex(&self.hash).is_none() {
            Some("a hash that is not 64 hexadecimal digits")
        } else if self.limit == Some(0) {
            Some("a limit of 0 events, which would refuse everything")
        } else if !is_name(&self.name) {
            Some("a name that is empty, too long or has control characters")
        } else {
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control)
}

/// Whether this has the form of a key: 32 hexadecimal digits.
pub fn is_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A source just made.
#[derive(Debug)]
pub struct CreatedSource {
    /// Its key, which is public by nature: a web page shows it to its visitors.
    pub key: String,
    /// What is kept.
    pub record: SourceRecord,
}

/// Why a source can't be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSource {
    /// The name can't stand in an event.
    #[error("a source's name must have 1 to {MAX_NAME_BYTES} bytes and no control characters")]
    Name,
    /// There is one of that name.
    #[error("there is a source {0:?} already: take another name, or revoke it first")]
    Taken(String),
    /// The file failed.
    #[error(transparent)]
    File(#[from] KeptError),
}

/// Makes a source and keeps it. Blocking.
///
/// # Errors
/// The name can't be used or is taken, or the file can't be read or written.
pub fn create_source(
    file: &SourceFile,
    name: &str,
    limit: Option<u32>,
    now: Timestamp,
) -> Result<CreatedSource, InvalidSource> {
    if !is_name(name) {
        return Err(InvalidSource::Name);
    }
    file.update(|sources| {
        if sources.iter().any(|known| known.name == name) {
            return Err(InvalidSource::Taken(name.to_owned()));
        }
        let key = Uuid::new_v4().simple().to_string();
        let record = SourceRecord {
            project: sources.iter().map(|known| known.project).max().unwrap_or(0) + 1,
            name: name.to_owned(),
            hash: SecretHash::of(&key).to_hex(),
            limit,
            created_at: now,
        };
        sources.push(record.clone());
        Ok(CreatedSource { key, record })
    })
}

/// Revokes the source of this name; `false` where there is none. Blocking.
///
/// # Errors
/// The file can't be read or written.
pub fn revoke_source(file: &SourceFile, name: &str) -> Result<bool, KeptError> {
    // Looked at before the update, which would create the folder.
    if file.read()?.is_none() {
        return Ok(false);
    }
    file.update(|sources| {
        let before = sources.len();
        sources.retain(|known| known.name != name);
        Ok(sources.len() < before)
    })
}

struct Entry {
    hash: SecretHash,
    name: Arc<str>,
    limit: Option<u32>,
}

type Entries = HashMap<u32, Entry>;

/// The sources in force.
pub struct SourceStore(Followed<SourceRecord, Entries>);

impl SourceStore {
    /// Reads the file; no file is no sources. Blocking.
    ///
    /// # Errors
    /// The file is there and can't be used.
    pub fn open(file: SourceFile, clock: SharedClock) -> Result<Self, KeptError> {
        Followed::open(file, clock, entries).map(Self)
    }

    /// The name of the source whose project and key these are.
    pub fn verify(&self, project: u32, key: &str) -> Option<Arc<str>> {
        let entries = self.0.current();
        let entry = entries.get(&project);
        let offered = SecretHash::of(key);
        let matches = entry.map_or(&SecretHash::NOBODY, |entry| &entry.hash).matches(&offered);
        entry.filter(|_| matches).map(|entry| Arc::clone(&entry.name))
    }

    /// The own limit of a project's source, events a minute.
    pub fn limit(&self, project: u32) -> Option<u32> {
        self.0.current().get(&project)?.limit
    }
}

fn entries(sources: Vec<SourceRecord>) -> Entries {
    let ready = sources.into_iter().filter_map(|record| {
        let entry = Entry {
            hash: SecretHash::from_hex(&record.hash)?,
            name: record.name.into(),
            limit: record.limit,
        };
        Some((record.project, entry))
    });
    ready.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_key_is_good_for_its_own_project_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let now = "2025-06-01T12:00:00Z".parse().unwrap();
        let file = SourceFile::in_folder(&folder.path().join("data"));
        assert!(!revoke_source(&file, "web").unwrap());
        let clock = Arc::new(ManualClock::starting_at(now));
        let store = SourceStore::open(file.clone(), clock.clone()).unwrap();
        let (web, api) = (
            create_source(&file, "web", None, now).unwrap(),
            create_source(&file, "api", Some(7), now).unwrap(),
        );
        assert!(is_key(&web.key) && web.record.project == 1 && api.record.project == 2);
        assert!(!std::fs::read_to_string(file.path()).unwrap().contains(&web.key));
        clock.advance(Duration::from_secs(1));
        assert_eq!(store.verify(1, &web.key).as_deref(), Some("web"));
        assert_eq!(store.verify(2, &api.key).as_deref(), Some("api"));
        assert_eq!([store.limit(1), store.limit(2), store.limit(3)], [None, Some(7), None]);
        for (project, key) in [
            (1, api.key.as_str()),
            (2, &web.key),
            (3, &web.key),
            (1, ""),
            (1, &web.record.hash),
        ] {
            assert_eq!(store.verify(project, key), None);
        }
        assert!(matches!(
            create_source(&file, "web", None, now),
            Err(InvalidSource::Taken(_))
        ));
        assert!(matches!(
            create_source(&file, " \n", None, now),
            Err(InvalidSource::Name)
        ));
        assert!(revoke_source(&file, "web").unwrap());
        clock.advance(Duration::from_secs(1));
        assert_eq!(store.verify(1, &web.key), None);
        assert_eq!(store.verify(2, &api.key).as_deref(), Some("api"));
    }
}
