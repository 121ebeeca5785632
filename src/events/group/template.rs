//! A message's template (floor 2, pure): its pieces, its key, and what it is with more words masked.
//!
//! What must stay true: a key depends on the rules' version, the source, the type, what decided and the normalised pieces,
//! and on nothing else.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

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
        }
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
        let mut rest = shown;
        for (index, piece) in self.pieces.iter().enumerate() {
            if piece.spaced && index > 0 {
                let Some(after) = rest.strip_prefix(' ') else {
                    return false;
                };
                rest = after;
            }
            let length = match piece.kind {
                Kind::Mask(_) if rest.starts_with(super::pieces::MASK) => Some(super::pieces::MASK.len()),
                Kind::Mask(_) => match self.pieces.get(index + 1) {
                    None => Some(rest.len()),
                    Some(next) if next.spaced => rest.find(' '),
                    Some(next) => rest.find(next.text).filter(|_| next.kind == Kind::Mark),
                },
                _ => rest.starts_with(piece.text).then_some(piece.text.len()),
            };
            let Some(length) = length.filter(|length| *length > 0) else {
                return false;
            };
            rest = &rest[length..];
        }
        rest.is_empty()
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
        }
    }

    /// `(word)`
    fn is_alone_in_brackets(&self, at: usize) -> bool {
        let is = |index: Option<usize>, sign| index.and_then(|i| self.pieces.get(i)).is_some_and(|p| p.is(sign));
        is(at.checked_sub(1), b'(') && is(Some(at + 1), b')')
    }
}
