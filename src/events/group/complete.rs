//! What is certainly not in a table (floor 2): a filter of all its keys, so that a key that nobody ever had needs no question.
//!
//! What must stay true: once whole, it holds every key of the table; a key too many costs a question, one too few would make
//! a group twice. So it never forgets, and whoever adds a row adds its key here first. It is filled piece by piece, in the
//! order of the keys, and asks nothing of whoever waits for it: until then every question goes to the table.
//!
//! Memory: two bytes for each key it has room for, 128 KiB at first, doubled when it is full, at most [`MOST_BYTES`]; with
//! more keys than that, more questions are asked in vain.

use super::template::Key;

/// Most bytes of one filter: room for four million keys at one question in vain of a thousand.
pub(super) const MOST_BYTES: usize = 8 << 20;
/// Keys that a filter has room for at first.
const FIRST_KEYS: usize = 1 << 16;
/// Bits a key.
const BITS: usize = 16;

/// A cache line of eight lanes; a key has one bit in each.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u64; 8]);

/// The keys of a table, roughly.
pub(super) struct Complete {
    blocks: Vec<Block>,
    /// How many keys it has room for.
    room: usize,
    /// How many it took in.
    held: usize,
    /// The last key that was read from the table.
    read: Key,
    whole: bool,
}

impl Default for Complete {
    fn default() -> Self {
        Self::with_room(FIRST_KEYS)
    }
}

impl Complete {
    fn with_room(room: usize) -> Self {
        Self {
            blocks: vec![Block([0; 8]); room * BITS / 512],
            room,
            held: 0,
            read: 0,
            whole: false,
        }
    }

    /// Whether the table certainly has no such key.
    #[inline]
    pub(super) fn lacks(&self, key: Key) -> bool {
        self.whole && !self.may_hold(key)
    }

    /// A row with this key is about to be added.
    pub(super) fn add(&mut self, key: Key) {
        let at = self.place(key);
        let block = &mut self.blocks[at].0;
        let mut new = false;
        for (lane, bit) in block.iter_mut().zip(bits(key)) {
            new |= *lane & bit == 0;
            *lane |= bit;
        }
        self.held += usize::from(new);
    }

    /// The key from which the table is to be read on; `None` when all of it was, and there is room.
    pub(super) fn wants(&mut self) -> Option<Key> {
        if self.held > self.room && self.room * BITS / 8 < MOST_BYTES {
            *self = Self::with_room(self.room * 2);
        }
        (!self.whole).then_some(self.read)
    }

    /// Takes in what the table has next, in order; `last` says that this is the end of it.
    pub(super) fn take(&mut self, keys: &[Key], last: bool) {
        for &key in keys {
            self.add(key);
        }
        self.read = keys.last().copied().unwrap_or(self.read);
        self.whole = last;
    }

    #[inline]
    fn may_hold(&self, key: Key) -> bool {
        let block = &self.blocks[self.place(key)].0;
        block.iter().zip(bits(key)).all(|(lane, bit)| lane & bit != 0)
    }

    #[inline]
    fn place(&self, key: Key) -> usize {
        let high = u64::from((key >> 96) as u32);
        ((high * self.blocks.len() as u64) >> 32) as usize
    }
}

/// A bit for each lane, of the low half of the key.
#[inline]
fn bits(key: Key) -> [u64; 8] {
    let low = key as u64;
    std::array::from_fn(|lane| 1 << ((low >> (6 * lane)) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes())
    }

    /// Fills it from a table, some keys at a time.
    fn fill(complete: &mut Complete, table: &std::collections::BTreeSet<Key>) {
        while let Some(from) = complete.wants() {
            let next: Vec<Key> = table.range(from..).take(7000).copied().collect();
            complete.take(&next, next.len() < 7000);
        }
    }

    #[test]
    fn it_lacks_nothing_that_is_there_and_little_else_is_asked_for() {
        let mut table: std::collections::BTreeSet<Key> = (0..150_000).map(key).collect();
        let mut complete = Complete::default();
        assert!(
            !complete.lacks(key(1)) && !complete.lacks(key(1 << 40)),
            "nothing is known yet"
        );
        fill(&mut complete, &table);
        for number in 150_000..300_000 {
            complete.add(key(number));
            table.insert(key(number));
            if number % 1000 == 0 {
                fill(&mut complete, &table);
            }
        }
        assert!((0..300_000).all(|number| !complete.lacks(key(number))));
        let vain = (1 << 40..(1 << 40) + 100_000)
            .filter(|number| !complete.lacks(key(*number)))
            .count();
        assert!(vain < 500, "{vain} of 100000");
        assert!(complete.room >= 300_000 && complete.blocks.len() * 64 <= MOST_BYTES);
    }

    #[test]
    fn it_grows_no_further_than_its_bound() {
        let mut complete = Complete::with_room(MOST_BYTES * 8 / BITS);
        let most = complete.room as u64;
        complete.take(&[], true);
        (0..=most + 100).for_each(|number| complete.add(key(number)));
        assert_eq!((complete.wants(), complete.blocks.len() * 64), (None, MOST_BYTES));
    }
}
