//! Maps by a statement's text (floor 1): they are asked at every run, so their hash is quick.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Multiplies eight bytes at a time. The keys are the program's own statements, compared in full, in a bounded map: a
/// hash that nobody can foresee would only cost time.
#[derive(Default)]
pub struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut add = |word: u64| self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(u64::from_le_bytes(last));
    }

    fn finish(&self) -> u64 {
        // The high bits are the well mixed ones, and the map looks at both ends.
        self.0 ^ (self.0 >> 32)
    }
}

/// A map by text.
pub type Map<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<TextHasher>>;
