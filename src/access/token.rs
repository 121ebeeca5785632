//! The text of a token (floor 2): `mst_<8 hex id>_<64 hex secret>`, and the hash that stands for its secret.
//!
//! What must stay true: the secret exists only in the text that is shown once. It has 244 random bits, so a plain
//! SHA-256 can't be reversed by guessing and needs neither salt nor slowness. Used inside `access` alone.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PREFIX: &str = "mst_";
const ID_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 64;

/// The SHA-256 of a secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    /// What an unknown id is compared with, so that it takes as long as a known one.
    pub(super) const NOBODY: SecretHash = SecretHash([0; 32]);

    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The hash as 64 hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if !is_hex(text, 64) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Compares in a time that tells nothing about where the two differ.
    pub(super) fn matches(&self, other: &SecretHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A fresh id, which may be in use already.
pub(super) fn new_id() -> String {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(ID_LENGTH);
    id
}

/// A fresh secret.
pub(super) fn new_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The whole token.
pub(super) fn compose(id: &str, secret: &str) -> String {
    format!("{PREFIX}{id}_{secret}")
}

/// `(id, secret)` of a well-formed token.
pub(super) fn take_apart(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (is_id(id) && is_hex(secret, SECRET_LENGTH)).then_some((id, secret))
}

/// Whether this has the form of an id.
pub(super) fn is_id(text: &str) -> bool {
    is_hex(text, ID_LENGTH)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_anything_else_does_not() {
        let (id, secret) = (new_id(), new_secret());
        let text = compose(&id, &secret);
        assert_eq!(text.len(), 4 + 8 + 1 + 64);
        assert_eq!(take_apart(&text), Some((id.as_str(), secret.as_str())));
        for wrong in [
            String::new(),
            "mst_".into(),
            text.to_uppercase(),
            text.replace("mst_", "msx_"),
            format!("{text}0"),
            format!(" {text}"),
            text[..text.len() - 1].into(),
            text.replacen('_', "-", 2),
            format!("mst_{}_{}", "é123456", secret),
        ] {
            assert_eq!(take_apart(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_differ_and_so_do_their_hashes() {
        let (one, two) = (new_secret(), new_secret());
        assert_ne!(one, two);
        assert!(SecretHash::of(&one).matches(&SecretHash::of(&one)));
        assert!(!SecretHash::of(&one).matches(&SecretHash::of(&two)));
    }

    #[test]
    fn a_hash_is_the_sha256_of_the_text_in_hex() {
        let hash = SecretHash::of("abc");
        assert_eq!(
            hash.to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(SecretHash::from_hex(&hash.to_hex()).unwrap().matches(&hash));
        assert!(SecretHash::from_hex(&"é".repeat(32)).is_none());
    }
}
