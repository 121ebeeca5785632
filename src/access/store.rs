//! The running server's view of the tokens (floor 2): in memory, and following the file.
//!
//! What must stay true: verifying compares hashes in constant time and does the same work for an unknown id; a file
//! that breaks or vanishes while the server runs never opens access: the last good tokens stay in force. The file is
//! looked at no more than once a second, by one caller, while the others go on with what is known; that look is a
//! `stat`, and the small file is read only when it changed. `http` verifies with it.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

use super::Grant;
use super::file::{TokenFile, TokenFileError, TokenRecord};
use super::token::{self, SecretHash};
use crate::clock::SharedClock;

/// A change of the file is noticed after this long at the latest, given that somebody asks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a token is not accepted. A client learns that it expired only when its secret was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It doesn't have a token's form.
    #[error("the token is malformed")]
    Malformed,
    /// No such token, or a wrong secret.
    #[error("the token is not known, or was revoked")]
    Unknown,
    /// It was right once.
    #[error("the token has expired")]
    Expired,
}

/// One token, ready to be compared.
struct Entry {
    hash: SecretHash,
    expires_at: Option<Timestamp>,
    grant: Arc<Grant>,
}

type Entries = HashMap<String, Entry>;

/// What tells one state of the file from another: modification time, length, inode; `None` where there is no file.
type Mark = Option<(i64, i64, u64, u64)>;

struct Watch {
    next_look: Instant,
    mark: Mark,
}

/// The tokens in force.
pub struct TokenStore {
    file: TokenFile,
    clock: SharedClock,
    entries: RwLock<Arc<Entries>>,
    watch: Mutex<Watch>,
}

impl TokenStore {
    /// Reads the file; no file is no tokens. Blocking.
    ///
    /// # Errors
    /// The file is there and can't be used: starting without its tokens would open what they close.
    pub fn open(file: TokenFile, clock: SharedClock) -> Result<Self, TokenFileError> {
        let mark = mark(&file);
        let entries = entries(file.read()?.unwrap_or_default());
        let watch = Watch {
            next_look: clock.now() + LOOK_EVERY,
            mark,
        };
        Ok(Self {
            file,
            clock,
            entries: RwLock::new(Arc::new(entries)),
            watch: Mutex::new(watch),
        })
    }

    /// What this token allows.
    ///
    /// # Errors
    /// Why it allows nothing.
    pub fn verify(&self, text: &str) -> Result<Arc<Grant>, Refusal> {
        let (id, secret) = token::take_apart(text).ok_or(Refusal::Malformed)?;
        let entries = self.current();
        let entry = entries.get(id);
        let offered = SecretHash::of(secret);
        let matches = entry.map_or(&SecretHash::NOBODY, |entry| &entry.hash).matches(&offered);
        match entry {
            Some(entry) if matches => {
                if entry.expires_at.is_some_and(|end| end <= self.clock.wall()) {
                    return Err(Refusal::Expired);
                }
                Ok(Arc::clone(&entry.grant))
            }
            _ => Err(Refusal::Unknown),
        }
    }

    /// Whether no token exists. An expired one exists: time alone must not open what a token closed.
    pub fn is_empty(&self) -> bool {
        self.current().is_empty()
    }

    fn current(&self) -> Arc<Entries> {
        self.follow();
        Arc::clone(&self.entries.read())
    }

    /// Looks whether the file has changed, at most once a second; never waits for another caller's look.
    fn follow(&self) {
        let Some(mut watch) = self.watch.try_lock() else { return };
        let now = self.clock.now();
        if now < watch.next_look {
            return;
        }
        watch.next_look = now + LOOK_EVERY;
        let seen = mark(&self.file);
        if seen == watch.mark {
            return;
        }
        // Remembered before reading: a change in between is then seen at the next look.
        watch.mark = seen;
        match self.file.read() {
            Ok(Some(tokens)) => {
                tracing::info!(tokens = tokens.len(), "the token file has changed and was read again");
                *self.entries.write() = Arc::new(entries(tokens));
            }
            Ok(None) => tracing::error!(
                file = %self.file.path().display(),
                "the token file has vanished; the tokens it had stay in force until the server ends"
            ),
            Err(error) => {
                tracing::error!(%error, "the token file can't be used; the tokens it had before stay in force");
            }
        }
    }
}

fn entries(tokens: Vec<TokenRecord>) -> Entries {
    let ready = tokens.into_iter().filter_map(|record| {
        let entry = Entry {
            hash: SecretHash::from_hex(&record.hash)?,
            expires_at: record.expires_at,
            grant: Arc::new(Grant {
                token_id: record.id.clone(),
                name: record.name,
                scopes: record.scopes,
                collection: record.collection,
            }),
        };
        Some((record.id, entry))
    });
    ready.collect()
}

fn mark(file: &TokenFile) -> Mark {
    let data = std::fs::metadata(file.path()).ok()?;
    Some((data.mtime(), data.mtime_nsec(), data.len(), data.ino()))
}

#[cfg(test)]
mod tests;
