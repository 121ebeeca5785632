//! Making and revoking tokens (floor 2), from any process: `cli` calls it while a server may be running.
//!
//! What must stay true: the token's text leaves through [`Created`] once and is kept nowhere; a request that makes
//! no sense is refused with what would make sense.

use jiff::Timestamp;

use super::Scope;
use super::file::{TokenFile, TokenFileError, TokenRecord};
use super::token::{self, SecretHash};

/// What a new token shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: Option<String>,
    /// What it allows; at least one.
    pub scopes: Vec<Scope>,
    /// The only collection that its data scopes reach.
    pub collection: Option<String>,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
}

/// A token just made.
#[derive(Debug)]
pub struct Created {
    /// The whole text, with the secret: to be shown once and forgotten.
    pub text: String,
    /// What is kept.
    pub record: TokenRecord,
}

/// Why a token can't be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// Nothing would be allowed.
    #[error("a token needs at least one scope")]
    NoScope,
    /// The collection would do nothing.
    #[error("a collection narrows data:read and data:write only: add one of them, or leave the collection out")]
    CollectionWithoutData,
    /// The collection would not narrow anything.
    #[error("admin reaches every collection: leave admin or the collection out")]
    CollectionWithAdmin,
    /// It would be dead at birth.
    #[error("the expiry must lie in the future")]
    AlreadyExpired,
    /// The file failed.
    #[error(transparent)]
    File(#[from] TokenFileError),
}

/// Makes a token and keeps it. Blocking.
///
/// # Errors
/// The request makes no sense, or the file can't be read or written.
pub fn create(file: &TokenFile, new: NewToken, now: Timestamp) -> Result<Created, InvalidToken> {
    let new = check(new, now)?;
    let secret = token::new_secret();
    file.update(|tokens| {
        let mut id = token::new_id();
        while tokens.iter().any(|known| known.id == id) {
            id = token::new_id();
        }
        let record = TokenRecord {
            id,
            name: new.name,
            scopes: new.scopes,
            collection: new.collection,
            hash: SecretHash::of(&secret).to_hex(),
            created_at: now,
            expires_at: new.expires_at,
        };
        tokens.push(record.clone());
        Ok(Created {
            text: token::compose(&record.id, &secret),
            record,
        })
    })
}

/// Revokes the token with this id: gives what it was and how many are left, or `None` where there is no such token.
/// Blocking.
///
/// # Errors
/// The file can't be read or written.
pub fn revoke(file: &TokenFile, id: &str) -> Result<Option<(TokenRecord, usize)>, TokenFileError> {
    // Looked at before the update, which would create the folder.
    if file.read()?.is_none() {
        return Ok(None);
    }
    file.update(|tokens| {
        let Some(index) = tokens.iter().position(|known| known.id == id) else {
            return Ok(None);
        };
        let gone = tokens.remove(index);
        Ok(Some((gone, tokens.len())))
    })
}

fn check(mut new: NewToken, now: Timestamp) -> Result<NewToken, InvalidToken> {
    new.scopes.sort();
    new.scopes.dedup();
    if new.scopes.is_empty() {
        return Err(InvalidToken::NoScope);
    }
    if new.collection.is_some() {
        if new.scopes.contains(&Scope::Admin) {
            return Err(InvalidToken::CollectionWithAdmin);
        }
        if !new.scopes.iter().any(|scope| scope.is_data()) {
            return Err(InvalidToken::CollectionWithoutData);
        }
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(InvalidToken::AlreadyExpired);
    }
    Ok(new)
}
