//! A template's bytes, in which one word or two are masked without going through its pieces again (floor 2, pure).
//!
//! What must stay true: a key from here is the one that the template with these words masked has; where a mask could change
//! anything but its own place (joined values, brackets, quotes, repetitions), there is no answer. Called by the template for
//! its wider templates: a message has dozens of them, and almost all are told here.

use xxhash_rust::xxh3::xxh3_128;

use super::Key;
use crate::events::group::pieces::{FURTHEST_REPEATED, Piece, RENDERED_MASK};
use crate::events::group::words::Kind;

/// The bytes of a template's key.
pub(in crate::events::group) struct Rendered {
    bytes: Vec<u8>,
    /// Where each piece ends in them.
    ends: Vec<usize>,
    /// Nothing of it changes when it is normalised again.
    settled: bool,
    /// What is between the first opening and the last closing bracket.
    bracketed: std::ops::Range<usize>,
}

impl Rendered {
    pub(super) fn new(prefix: &[u8], pieces: &[Piece<'_>], settled: bool) -> Self {
        let mut bytes = prefix.to_vec();
        let mut ends = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.iter().enumerate() {
            if piece.spaced && index > 0 {
                bytes.push(b' ');
            }
            match piece.kind {
                Kind::Mask(_) => bytes.push(RENDERED_MASK),
                _ => bytes.extend_from_slice(piece.text.as_bytes()),
            }
            ends.push(bytes.len());
        }
        let is = |piece: &Piece<'_>, marks: [&str; 3]| piece.kind == Kind::Mark && marks.contains(&piece.text);
        let opened = pieces.iter().position(|piece| is(piece, ["(", "[", "{"]));
        let closed = pieces.iter().rposition(|piece| is(piece, [")", "]", "}"]));
        Self {
            bytes,
            ends,
            settled,
            bracketed: opened.unwrap_or(0)..closed.unwrap_or(0),
        }
    }

    /// The key with these one or two words masked; `None` when it has to be found through the pieces.
    pub(super) fn key(&self, pieces: &[Piece<'_>], places: &[usize]) -> Option<Key> {
        let told = match *places {
            [one] => self.is_alone(pieces, one),
            [one, other] => {
                self.is_alone(pieces, one)
                    && self.is_alone(pieces, other)
                    && !pieces[one + 1..other].iter().all(Piece::joins)
                    && (other - one > FURTHEST_REPEATED || !repeats(pieces, one, other))
            }
            _ => false,
        };
        if !told {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut from = 0;
        for &place in places {
            bytes.extend_from_slice(&self.bytes[from..self.ends[place] - pieces[place].text.len()]);
            bytes.push(RENDERED_MASK);
            from = self.ends[place];
        }
        bytes.extend_from_slice(&self.bytes[from..]);
        Some(xxh3_128(&bytes))
    }

    /// Whether a mask at this place would change nothing else.
    fn is_alone(&self, pieces: &[Piece<'_>], at: usize) -> bool {
        let (before, after) = (&pieces[..at], &pieces[at + 1..]);
        let next = |piece: Option<&Piece<'_>>| piece.is_some_and(Piece::is_mask);
        self.settled
            && !self.bracketed.contains(&at)
            && !after.first().is_some_and(Piece::is_quote)
            && !next(before.iter().rev().find(|piece| !piece.joins()))
            && !next(after.iter().find(|piece| !piece.joins()))
            && !(2..=FURTHEST_REPEATED).any(|apart| {
                let masked =
                    |other: Option<usize>| other.and_then(|other| pieces.get(other)).is_some_and(Piece::is_mask);
                (masked(at.checked_add(apart)) && repeats(pieces, at, at + apart))
                    || (masked(at.checked_sub(apart)) && repeats(pieces, at - apart, at))
            })
    }
}

/// Whether two places, once both are masked, may be parts of a repetition: what stands beside them is the same too.
fn repeats(pieces: &[Piece<'_>], one: usize, other: usize) -> bool {
    let same = |one: Option<usize>, other: Option<usize>| match (one, other) {
        (Some(one), Some(other)) => pieces.get(other).is_some_and(|piece| piece.same(&pieces[one])),
        _ => false,
    };
    same(one.checked_sub(1), other.checked_sub(1)) || same(one.checked_add(1), other.checked_add(1))
}
