//! A message's template (floor 2, pure): its pieces, its key, and what it is with more words masked.
//!
//! What must stay true: a key depends on the rules' version, the source, the type, what decided and the normalised pieces,
//! and on nothing else.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::Rules;
use super::names;
use super::pieces::{Piece, Pieces, render, render_key};
use super::words::{Kind, Masked};

mod rendered;
mod wider;

pub(super) use rendered::{Rendered, Spare};
pub(super) use wider::Candidate;

/// A group's key: XXH3, 128 bits, of the bytes that [`Template::into_key`] and `Read::into_key` lay out.
pub(super) type Key = u128;

/// The pieces of a message behind what its key begins with.
pub(super) struct Template<'t> {
    text: &'t str,
    prefix: Vec<u8>,
    pieces: Vec<Piece<'t>>,
    /// Surely nothing changes when the pieces are normalised again.
    settled: bool,
    /// Which rules judge it.
    rules: Rules,
    /// It has a name of several words.
    named: bool,
}

impl<'t> Template<'t> {
    pub(super) fn new(text: &'t str, prefix: Vec<u8>) -> Self {
        let mut pieces = Vec::with_capacity(32);
        let settled = super::scanner::scan(text, &mut pieces);
        Self {
            text,
            prefix,
            pieces,
            settled,
            rules: Rules::Two,
            named: false,
        }
    }

    /// These rules judge it from now on; its key stays.
    pub(super) fn judge_by(&mut self, rules: Rules) {
        self.rules = rules;
        self.named = rules == Rules::Three && names::join(self.text, &mut self.pieces);
        self.settled &= !self.named;
    }

    /// The same without names of several words; `None` when it has none.
    pub(super) fn without_names(&self) -> Option<Self> {
        self.named.then(|| Self::new(self.text, self.prefix.clone()))
    }

    pub(super) fn pieces(&self) -> &[Piece<'t>] {
        &self.pieces
    }

    /// Its key.
    pub(super) fn into_key(self) -> Key {
        let mut bytes = self.prefix;
        render_key(self.text, &self.pieces, &mut bytes);
        xxh3_128(&bytes)
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        render(&self.pieces)
    }

    /// What templates have in common that differ in words alone.
    pub(super) fn shape(&self) -> i64 {
        let mut bytes = self.prefix.clone();
        for piece in &self.pieces {
            bytes.push(u8::from(piece.spaced));
            match piece.kind {
                Kind::Mark => bytes.extend_from_slice(piece.text.as_bytes()),
                _ => bytes.push(2),
            }
        }
        xxh3_64(&bytes).cast_signed()
    }

    /// Whether a message can differ from it in more than the one word that it was made by.
    pub(super) fn is_wide(&self) -> bool {
        self.pieces.iter().filter(|p| p.is_mask()).count() >= 2
    }

    /// Whether a shown template of the same shape says the same where this one has words.
    pub(super) fn covers(&self, shown: &str) -> bool {
        self.covers_from(0, shown)
    }

    fn covers_from(&self, index: usize, rest: &str) -> bool {
        let Some(piece) = self.pieces.get(index) else {
            return rest.is_empty();
        };
        let rest = match rest.strip_prefix(' ') {
            Some(after) if piece.spaced && index > 0 => after,
            None if piece.spaced && index > 0 => return false,
            _ => rest,
        };
        let goes_on = |length: usize| length > 0 && self.covers_from(index + 1, &rest[length..]);
        if !piece.is_mask() {
            return rest.starts_with(piece.text) && goes_on(piece.text.len());
        }
        if rest.starts_with(super::pieces::MASK) {
            return goes_on(super::pieces::MASK.len());
        }
        match self.pieces.get(index + 1) {
            None => goes_on(rest.len()),
            Some(next) if next.spaced => self.ends_of_value(rest).any(goes_on),
            Some(next) => next.kind == Kind::Mark && rest.find(next.text).is_some_and(goes_on),
        }
    }

    /// Where a value may end that a space follows: behind a word, or behind a name of several.
    fn ends_of_value(&self, text: &str) -> impl Iterator<Item = usize> {
        let most = if self.rules == Rules::Two { 1 } else { names::MOST_WORDS };
        let begins_large = |at: usize| text[at..].starts_with(char::is_uppercase);
        let mut named = true;
        text.match_indices(' ').take(most).map_while(move |(end, _)| {
            let here = std::mem::replace(&mut named, begins_large(0) && begins_large(end + 1));
            here.then_some(end)
        })
    }

    /// The template with these pieces masked too.
    pub(super) fn masked(&self, places: &[usize]) -> Self {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut made = Pieces::new(self.text, &mut pieces);
        for (index, piece) in self.pieces.iter().enumerate() {
            let masked = places.contains(&index);
            let kind = if masked { Kind::Mask(Masked::Word) } else { piece.kind };
            // `(word)` stays in its brackets: dropped, nothing would tell it from a message that never had any.
            if places.contains(&index.wrapping_sub(1)) && self.is_alone_in_brackets(index - 1) {
                made.push_as_it_is(*piece);
            } else {
                made.push(Piece::new(piece.text, kind, piece.spaced));
            }
        }
        made.finish();
        Self {
            text: self.text,
            prefix: self.prefix.clone(),
            pieces,
            settled: false,
            rules: self.rules,
            named: self.named,
        }
    }

    /// `(word)`
    fn is_alone_in_brackets(&self, at: usize) -> bool {
        let is = |index: Option<usize>, sign| index.and_then(|i| self.pieces.get(i)).is_some_and(|p| p.is(sign));
        is(at.checked_sub(1), b'(') && is(Some(at + 1), b')')
    }
}
