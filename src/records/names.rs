//! Names of collections and ids of documents (floor 2, pure).
//!
//! What must stay true: a value of these types keeps its rule, so that it fits into a path and a header without
//! escaping. Words that are routes of their own are no names, or what they name could never be reached.
use std::fmt;

use uuid::Uuid;

/// What a collection's name may be.
pub const COLLECTION_RULE: &str =
    "must be 1 to 63 of a-z, 0-9, '_' and '-', begin with a letter, and not be the reserved word batch";
/// What a document's id may be.
pub const ID_RULE: &str = "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '~' and '-', \
                           and none of the reserved words '.', '..', changes, export, import";

const RESERVED_COLLECTIONS: [&str; 1] = ["batch"];
const RESERVED_IDS: [&str; 5] = [".", "..", "changes", "export", "import"];

/// A collection's name: `[a-z][a-z0-9_-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CollectionName(String);

impl CollectionName {
    /// The name, or [`COLLECTION_RULE`] when it breaks the rule.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
            && !RESERVED_COLLECTIONS.contains(&text);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(COLLECTION_RULE)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document's id: `[A-Za-z0-9._~-]{1,128}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentId(String);

impl DocumentId {
    /// The id, or [`ID_RULE`] when it breaks the rule.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits = is_key(text) && !RESERVED_IDS.contains(&text);
        if fits { Ok(Self(text.to_owned())) } else { Err(ID_RULE) }
    }

    /// A new id (UUIDv7), greater than those made before, so that lists by id are lists by age.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The collection.
    pub collection: CollectionName,
    /// The document in it.
    pub id: DocumentId,
}

/// Whether every name and id could be `text`, reserved words aside.
pub(super) fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collection_names_keep_their_rule() {
        for good in ["a", "notes", "a-b_c9", "n".repeat(63).as_str()] {
            assert_eq!(CollectionName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "9a",
            "_a",
            "-a",
            "Notes",
            "a b",
            "a.b",
            "é",
            "batch",
            "n".repeat(64).as_str(),
        ] {
            assert_eq!(CollectionName::parse(bad), Err(COLLECTION_RULE), "{bad}");
        }
    }

    #[test]
    fn document_ids_keep_their_rule() {
        for good in ["1", "A.b_c~d-9", "...", "-", "z".repeat(128).as_str()] {
            assert_eq!(DocumentId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a%",
            "\"",
            "ü",
            "changes",
            "z".repeat(129).as_str(),
        ] {
            assert_eq!(DocumentId::parse(bad), Err(ID_RULE), "{bad}");
        }
    }

    #[test]
    fn generated_ids_are_valid_and_ascend() {
        let ids: Vec<String> = (0..1000).map(|_| DocumentId::generate().to_string()).collect();
        assert!(ids.iter().all(|id| DocumentId::parse(id).is_ok()));
        assert!(ids.is_sorted());
    }
}
