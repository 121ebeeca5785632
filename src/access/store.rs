//! The running server's view of the tokens (floor 2): in memory, and following the file.
//!
//! What must stay true: verifying compares hashes in constant time and does the same work for an unknown id; a file
//! that breaks or vanishes while the server runs never opens access. `http` verifies with it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Grant;
use super::file::{TokenFile, TokenFileError, TokenRecord};
use super::follow::Followed;
use super::token::{self, SecretHash};
use crate::clock::SharedClock;

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

/// The tokens in force.
pub struct TokenStore {
    clock: SharedClock,
    entries: Followed<TokenRecord, Entries>,
}

impl TokenStore {
    /// Reads the file; no file is no tokens. Blocking.
    ///
    /// # Errors
    /// The file is there and can't be used: starting without its tokens would open what they close.
    pub fn open(file: TokenFile, clock: SharedClock) -> Result<Self, TokenFileError> {
        Ok(Self {
            entries: Followed::open(file, Arc::clone(&clock), entries)?,
            clock,
        })
    }

    /// What this token allows.
    ///
    /// # Errors
    /// Why it allows nothing.
    pub fn verify(&self, text: &str) -> Result<Arc<Grant>, Refusal> {
        let (id, secret) = token::take_apart(text).ok_or(Refusal::Malformed)?;
        let entries = self.entries.current();
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
        self.entries.current().is_empty()
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

#[cfg(test)]
mod tests;
