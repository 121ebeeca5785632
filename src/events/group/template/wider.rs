//! A message's neighbours (floor 2, pure): the templates that it would have with one more word masked, or two, or all names.
//!
//! What must stay true: a candidate is judged the same from whichever of its variants it is reached; the order is that of
//! the words. Called by the engine for a key that no group has.

use xxhash_rust::xxh3::xxh3_64;

use super::rendered::{Rendered, Spare};
use super::{Key, Template};
use crate::events::group::pieces::Piece;
use crate::events::group::words::{Class, Kind};
use crate::events::group::{Rules, names};

/// Most words of one message whose places are watched.
const MOST_CANDIDATES: usize = 32;
/// Distinct words at one place that make it a value's place, by the class of the words.
const QUOTED_MOST: usize = 2;
const NAMES_MOST: usize = 3;
const WORDS_MOST: usize = 5;
/// The same for a message's first word, and the plain words that such a message must have.
const FIRST_MOST: usize = 6;
const FIRST_NEEDS_WORDS: usize = 3;
/// Bytes from which a run of letters beyond ASCII counts as two words.
const LONG_RUN: usize = 12;
/// Of a hash.
const LOWER_HALF: u64 = 0xffff_ffff;
/// Most words of a message that are masked two at a time.
const MOST_PAIRED: usize = 10;

/// A template with one more word masked, or all names.
#[derive(Debug, Clone)]
pub(in crate::events::group) struct Candidate {
    /// The key of the wider template.
    pub key: Key,
    /// The pieces that are masked in it.
    pub places: Places,
    /// What the words are.
    pub class: Class,
    /// How many distinct variants make one group; `None`: they are only counted.
    pub most: Option<usize>,
}

/// Places of pieces, in order.
#[derive(Debug, Clone)]
pub(in crate::events::group) enum Places {
    One([usize; 1]),
    Two([usize; 2]),
    /// Two beside each other, of which the first alone counts.
    Begin([usize; 2]),
    Many(Vec<usize>),
}

impl Places {
    pub(in crate::events::group) fn all(&self) -> &[usize] {
        match self {
            Self::One(place) => place,
            Self::Two(places) | Self::Begin(places) => places,
            Self::Many(places) => places,
        }
    }
}

impl Template<'_> {
    /// The wider templates, in the order of the words; all names at once last. Each is made when it is asked for.
    pub(in crate::events::group) fn candidates<'c>(
        &'c self,
        rendered: &'c Rendered<'_, '_>,
    ) -> impl Iterator<Item = Candidate> + 'c {
        let plain = self.plain_words();
        let first = self.pieces.iter().position(|p| p.kind != Kind::Mark);
        let single = self.words().filter_map(move |(at, class)| {
            let left = plain - weight(&self.pieces[at]);
            let most = match class {
                Class::Plain if Some(at) == first => (plain >= FIRST_NEEDS_WORDS).then_some(FIRST_MOST),
                Class::Plain | Class::Value | Class::Camel | Class::Name => Some(WORDS_MOST),
                Class::Keyed | Class::Compound => Some(NAMES_MOST),
                Class::Quoted => Some(QUOTED_MOST),
            };
            let weak = class.is_weak() && class != Class::Name;
            let needed = if weak || self.is_alone_in_brackets(at) { 1 } else { 2 };
            (left >= needed).then_some(())?;
            self.candidate(rendered, Places::One([at]), class, most)
        });
        let names = std::iter::once_with(move || {
            let names: Vec<usize> = self.words().filter(|one| one.1.is_weak()).map(|one| one.0).collect();
            (names.len() >= 2 && plain > 0).then_some(())?;
            self.candidate(rendered, Places::Many(names), Class::Value, Some(WORDS_MOST))
        });
        single
            .chain(names.flatten())
            .chain(self.beginnings(rendered, plain, first))
    }

    /// The wider templates with a name masked that a sentence may begin with.
    fn beginnings<'c>(
        &'c self,
        rendered: &'c Rendered<'_, '_>,
        plain: usize,
        first: Option<usize>,
    ) -> impl Iterator<Item = Candidate> + 'c {
        let places = (self.rules == Rules::Three).then(|| names::beginning_sentences(self.text, &self.pieces));
        places.into_iter().flatten().filter_map(move |at| {
            let left = plain - weight(&self.pieces[at]) - weight(&self.pieces[at + 1]);
            let (most, needed) = if Some(at) == first {
                (FIRST_MOST, FIRST_NEEDS_WORDS)
            } else {
                (WORDS_MOST, 2)
            };
            (left >= needed).then_some(())?;
            self.candidate(rendered, Places::Begin([at, at + 1]), Class::Plain, Some(most))
        })
    }

    /// The wider templates with two more words masked, which only ever join what is there.
    pub(in crate::events::group) fn pairs<'c>(
        &'c self,
        rendered: &'c Rendered<'_, '_>,
        candidates: &[Candidate],
    ) -> impl Iterator<Item = Candidate> + 'c {
        let single: Vec<(usize, Class)> = candidates
            .iter()
            .filter_map(|one| match one.places {
                Places::One([at]) => Some((at, one.class)),
                _ => None,
            })
            .take(MOST_PAIRED)
            .collect();
        let plain = self.plain_words();
        let names = self.several_names();
        let with_names = single.clone().into_iter().filter_map(move |(at, class)| {
            (names.len() >= 2 && class == Class::Plain && plain > 2).then_some(())?;
            let mut places = names.clone();
            places.push(at);
            places.sort_unstable();
            self.candidate(rendered, Places::Many(places), class, None)
        });
        let pairs = (0..single.len()).flat_map({
            let count = single.len();
            move |i| (i + 1..count).map(move |j| (i, j))
        });
        let pairs = pairs.filter_map(move |(i, j)| {
            let ((one, first), (other, second)) = (single[i], single[j]);
            let left = plain - weight(&self.pieces[one]) - weight(&self.pieces[other]);
            (left >= 2).then_some(())?;
            self.candidate(rendered, Places::Two([one, other]), first.max(second), None)
        });
        pairs.chain(with_names)
    }

    /// The weak words, if one of them is a name of several words: what such a message has more of varies with them.
    fn several_names(&self) -> Vec<usize> {
        let is_name = |piece: &Piece<'_>| {
            matches!(piece.kind, Kind::Word(Class::Name | Class::Keyed)) && piece.text.contains(' ')
        };
        if !self.named || !self.pieces.iter().any(is_name) {
            return Vec::new();
        }
        self.words().filter(|one| one.1.is_weak()).map(|one| one.0).collect()
    }

    /// The words whose places are watched.
    fn words(&self) -> impl Iterator<Item = (usize, Class)> + '_ {
        let words = self.pieces.iter().enumerate();
        let words = words.filter_map(|(at, piece)| match piece.kind {
            Kind::Word(class) => Some((at, class)),
            _ => None,
        });
        words.take(MOST_CANDIDATES)
    }

    /// `None` when a mask there would become one with its neighbours, so that its words could no longer be told; what is in
    /// quotes is a value anyway.
    fn candidate(
        &self,
        rendered: &Rendered<'_, '_>,
        places: Places,
        class: Class,
        most: Option<usize>,
    ) -> Option<Candidate> {
        let is_part = || places.all().iter().all(|&place| self.is_part_of_a_value(place));
        let key = match rendered.told(places.all()) {
            Some(told) if told.merged && !is_part() => return None,
            Some(told) => told.key,
            None => {
                let wider = self.masked(places.all());
                if masks(&wider.pieces) <= masks(&self.pieces) && !is_part() {
                    return None;
                }
                wider.into_key()
            }
        };
        Some(Candidate {
            key,
            places,
            class,
            most,
        })
    }

    /// A hash of the words at these places: its upper half tells whether another counts as another.
    pub(in crate::events::group) fn variant(&self, places: &Places) -> i64 {
        let mut words = Vec::new();
        if let Places::Begin([first, second]) = places {
            let hash = |at: usize| xxh3_64(self.pieces[at].text.as_bytes());
            return ((hash(*first) & !LOWER_HALF) | (hash(*second) & LOWER_HALF)).cast_signed();
        }
        for &place in places.all() {
            words.extend_from_slice(self.pieces[place].text.as_bytes());
            words.push(0);
        }
        xxh3_64(&words).cast_signed()
    }

    /// The bytes of its key, for its wider templates' keys.
    pub(in crate::events::group) fn rendered(&self, spare: Spare) -> Rendered<'_, '_> {
        Rendered::new(self, spare)
    }

    fn plain_words(&self) -> usize {
        self.pieces.iter().map(weight).sum()
    }

    /// What is in quotes is a value anyway; a name right at a mask is a part of one: `name[17]`.
    fn is_part_of_a_value(&self, at: usize) -> bool {
        let piece = &self.pieces[at];
        let touches = || {
            let before = !piece.spaced && at > 0 && self.pieces[at - 1].is_mask();
            before
                || self
                    .pieces
                    .get(at + 1)
                    .is_some_and(|next| next.is_mask() && !next.spaced)
        };
        match piece.kind {
            Kind::Word(Class::Quoted) => true,
            Kind::Word(class) if is_made_of_parts(piece, class) && self.is_beside_a_value(at) => true,
            Kind::Word(class) => class.is_weak() && touches(),
            _ => false,
        }
    }

    /// A space from a value, inside a sentence: `package old-orders 1.2 is missing`.
    fn is_beside_a_value(&self, at: usize) -> bool {
        let is_value = |at: Option<usize>| at.and_then(|at| self.pieces.get(at)).is_some_and(Piece::is_mask);
        self.rules == Rules::Three
            && self.pieces[..at].iter().any(Piece::is_word)
            && (is_value(at.checked_sub(1)) || is_value(Some(at + 1)))
    }
}

/// `a-b`, or a name of several words.
fn is_made_of_parts(piece: &Piece<'_>, class: Class) -> bool {
    match class {
        Class::Compound | Class::Name => true,
        Class::Keyed => piece.text.contains(['-', '_', '.', '/', ' ']),
        _ => false,
    }
}

/// How many plain words a piece is; scripts without spaces write several in one.
fn weight(piece: &Piece<'_>) -> usize {
    match piece.kind {
        Kind::Word(Class::Plain) | Kind::Constant if piece.text.len() >= LONG_RUN && !piece.text.is_ascii() => 2,
        Kind::Word(Class::Plain) | Kind::Constant => 1,
        _ => 0,
    }
}

fn masks(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().filter(|p| p.is_mask()).count()
}

#[cfg(test)]
mod tests;
