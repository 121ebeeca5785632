//! Users who were erased, so that nothing of them comes back (floor 2): from the spool, a phone, or a sender's retry.
//!
//! What must stay true: nobody's name is kept, only a keyed hash, and only for as long as something older may still come;
//! an event that happened and came in after the erasure is taken like any other. It can't be told from one that is there
//! already: both are answered as a duplicate, and stored nowhere.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::events::model::{ErrorEvent, UserId};

/// For so long what is older than an erasure is refused, in milliseconds: 90 days.
const REFUSED_FOR_MS: i64 = 90 * 24 * 3_600_000;

/// The erased users; empty as a rule, and then it costs one look a batch.
pub struct Erased {
    key: Vec<u8>,
    until: HashMap<Vec<u8>, i64>,
}

impl Erased {
    /// Reads them; `None` where there are none.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn load(c: &Connection) -> rusqlite::Result<Option<Self>> {
        let mut all = c.prepare_cached("SELECT hash, before FROM erased_users")?;
        let until: HashMap<Vec<u8>, i64> = all
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if until.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { key: key(c)?, until }))
    }

    /// Whether the event is of one of them, and older than the erasure.
    pub fn has(&self, event: &ErrorEvent) -> bool {
        let user = match &event.user_id {
            None => return false,
            Some(UserId::Number(number)) => number.to_string(),
            Some(UserId::Text(text)) => text.clone(),
        };
        let until = self.until.get(hash(&self.key, &user).as_slice());
        until.is_some_and(|until| event.timestamp_ms.min(event.received_ms) <= *until)
    }
}

/// From now on what is older is refused; the hash of the user, for the receipt. Hashes that are too old go.
///
/// # Errors
/// Those of SQLite.
pub(super) fn forget(c: &Connection, user: &str, now_ms: i64) -> rusqlite::Result<String> {
    let hash = hash(&key(c)?, user);
    c.execute("DELETE FROM erased_users WHERE ends <= ?1", [now_ms])?;
    c.execute(
        "INSERT INTO erased_users (hash, before, ends) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET before = max(before, excluded.before), ends = max(ends, excluded.ends)",
        params![hash, now_ms, now_ms + REFUSED_FOR_MS],
    )?;
    Ok(hash[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn key(c: &Connection) -> rusqlite::Result<Vec<u8>> {
    c.prepare_cached("SELECT key FROM erased_users_key")?
        .query_row([], |row| row.get(0))
}

fn hash(key: &[u8], user: &str) -> Vec<u8> {
    // The key's length is fixed, so nothing but this user gives this hash.
    Sha256::new().chain_update(key).chain_update(user).finalize().to_vec()
}
