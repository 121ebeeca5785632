//! What is kept of a token (floor 2): `<data folder>/tokens.json`.
//!
//! What must stay true: the file holds hashes, never a secret. Used inside `access`, and by `cli` to list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Scope;
use super::kept::{Kept, KeptError, KeptFile};
use super::token::{self, SecretHash};

/// The token file of a data folder.
pub type TokenFile = KeptFile<TokenRecord>;
/// Why the token file can't be used.
pub type TokenFileError = KeptError;

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
}

impl Kept for TokenRecord {
    const FILE: &'static str = "tokens.json";
    const LIST: &'static str = "tokens";
    const WHAT: &'static str = "token";

    fn id(&self) -> String {
        self.id.clone()
    }

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

/// Timestamps as RFC 3339 text.
pub(super) mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::access) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::clock::rfc3339_ms(*at))
    }

    pub(in crate::access) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
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
