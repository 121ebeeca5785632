//! A bounded memory of what was used lately (floor 2): two halves, of which the older is dropped when the newer is full.
//!
//! What must stay true: it never holds more than its capacity; what was used within the last half of a capacity's insertions
//! is still there. Keys are hashes already and are not hashed again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::template::Key;

/// Takes the low half of a 128-bit hash for its hash.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

type Half<V> = HashMap<Key, V, BuildHasherDefault<Hashed>>;

/// Values by key, the ones used lately.
pub(super) struct Recent<V> {
    newer: Half<V>,
    older: Half<V>,
    half: usize,
}

impl<V> Recent<V> {
    /// Holds at most `capacity` values.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            newer: Half::default(),
            older: Half::default(),
            half: capacity.div_ceil(2),
        }
    }

    /// The value, which counts as used now.
    #[inline]
    pub(super) fn get(&mut self, key: Key) -> Option<&mut V> {
        if !self.newer.contains_key(&key) {
            let value = self.older.remove(&key)?;
            self.insert(key, value);
        }
        self.newer.get_mut(&key)
    }

    /// A copy of the value, which counts as used now.
    #[inline]
    pub(super) fn copied(&mut self, key: Key) -> Option<V>
    where
        V: Copy,
    {
        if let Some(value) = self.newer.get(&key) {
            return Some(*value);
        }
        let value = self.older.remove(&key)?;
        self.insert(key, value);
        Some(value)
    }

    pub(super) fn insert(&mut self, key: Key, value: V) {
        if self.newer.len() >= self.half && !self.newer.contains_key(&key) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.newer.remove(&key);
        self.older.remove(&key);
    }

    pub(super) fn clear(&mut self) {
        self.newer = Half::default();
        self.older = Half::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut recent = Recent::new(10);
        for key in 0..1000 {
            recent.insert(key, key);
            assert!(recent.len() <= 10);
            assert_eq!(recent.copied(0), Some(0), "used all along, at {key}");
        }
        assert_eq!((recent.get(999).copied(), recent.get(1).copied()), (Some(999), None));
        recent.insert(7, 1);
        recent.insert(7, 2);
        assert_eq!(recent.get(7).copied(), Some(2));
        recent.remove(7);
        recent.clear();
        assert_eq!(recent.get(7), None);
        assert_eq!(recent.len(), 0);
    }
}
