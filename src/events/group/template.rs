//! A message's template and its neighbours (floor 2, pure): the keys it would have with one more word masked.
//!
//! What must stay true: a key depends on the rules' version, the source, the type, what decided and the normalised pieces,
//! and on nothing else; a candidate is judged the same from whichever of its variants it is reached.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::pieces::{Piece, Pieces, render, render_key};
use super::rendered::Rendered;
use super::words::{Class, Kind, Masked};

/// A group's key: XXH3, 128 bits, of the bytes that [`Template::key`] and `parts::key` lay out.
pub(super) type Key = u128;

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
/// Most words of a message that are masked two at a time.
const MOST_PAIRED: usize = 10;

/// The pieces of a message behind what its key begins with.
pub(super) struct Template<'t> {
    text: &'t str,
    prefix: Vec<u8>,
    pieces: Vec<Piece<'t>>,
}

/// A template with one more word masked, or all names.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
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
pub(super) enum Places {
    One([usize; 1]),
    Two([usize; 2]),
    Many(Vec<usize>),
}

impl Places {
    pub(super) fn all(&self) -> &[usize] {
        match self {
            Self::One(place) => place,
            Self::Two(places) => places,
            Self::Many(places) => places,
        }
    }
}

impl<'t> Template<'t> {
    pub(super) fn new(text: &'t str, prefix: Vec<u8>) -> Self {
        let mut pieces = Vec::with_capacity(32);
        super::scanner::scan(text, &mut pieces);
        Self { text, prefix, pieces }
    }

    pub(super) fn pieces(&self) -> &[Piece<'t>] {
        &self.pieces
    }

    pub(super) fn key(&self) -> Key {
        let mut bytes = Vec::with_capacity(self.prefix.len() + self.text.len() + self.pieces.len());
        bytes.extend_from_slice(&self.prefix);
        render_key(self.text, &self.pieces, &mut bytes);
        xxh3_128(&bytes)
    }

    /// The same, when nothing else is wanted.
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
                made.push(Piece { kind, ..*piece });
            }
        }
        made.finish();
        Self {
            text: self.text,
            prefix: self.prefix.clone(),
            pieces,
        }
    }

    /// The wider templates, in the order of the words; all names at once last. Each is made when it is asked for.
    pub(super) fn candidates<'c>(&'c self, rendered: &'c Rendered) -> impl Iterator<Item = Candidate> + 'c {
        let plain = self.plain_words();
        let first = self.pieces.iter().position(|p| p.kind != Kind::Mark);
        let single = self.words().filter_map(move |(at, class)| {
            let left = plain - weight(&self.pieces[at]);
            let most = match class {
                Class::Plain if Some(at) == first => (plain >= FIRST_NEEDS_WORDS).then_some(FIRST_MOST),
                Class::Plain | Class::Value | Class::Camel => Some(WORDS_MOST),
                Class::Keyed | Class::Compound => Some(NAMES_MOST),
                Class::Quoted => Some(QUOTED_MOST),
            };
            let needed = if class.is_weak() || self.is_alone_in_brackets(at) {
                1
            } else {
                2
            };
            (left >= needed).then_some(())?;
            self.candidate(rendered, Places::One([at]), class, most)
        });
        let names = std::iter::once_with(move || {
            let names: Vec<usize> = self.words().filter(|one| one.1.is_weak()).map(|one| one.0).collect();
            (names.len() >= 2 && plain > 0).then_some(())?;
            self.candidate(rendered, Places::Many(names), Class::Value, Some(WORDS_MOST))
        });
        single.chain(names.flatten())
    }

    /// The wider templates with two more words masked, which only ever join what is there.
    pub(super) fn pairs<'c>(
        &'c self,
        rendered: &'c Rendered,
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
        let pairs = (0..single.len()).flat_map({
            let count = single.len();
            move |i| (i + 1..count).map(move |j| (i, j))
        });
        pairs.filter_map(move |(i, j)| {
            let ((one, first), (other, second)) = (single[i], single[j]);
            let left = plain - weight(&self.pieces[one]) - weight(&self.pieces[other]);
            (left >= 2).then_some(())?;
            self.candidate(rendered, Places::Two([one, other]), first.max(second), None)
        })
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
    fn candidate(&self, rendered: &Rendered, places: Places, class: Class, most: Option<usize>) -> Option<Candidate> {
        let key = match rendered.key(&self.pieces, places.all()) {
            Some(key) => key,
            None => {
                let wider = self.masked(places.all());
                let merged = masks(&wider.pieces) <= masks(&self.pieces);
                if merged && !places.all().iter().all(|&place| self.is_part_of_a_value(place)) {
                    return None;
                }
                wider.key()
            }
        };
        Some(Candidate {
            key,
            places,
            class,
            most,
        })
    }

    /// A hash of the words at these places.
    pub(super) fn variant(&self, places: &Places) -> i64 {
        let mut words = Vec::new();
        for &place in places.all() {
            words.extend_from_slice(self.pieces[place].text.as_bytes());
            words.push(0);
        }
        xxh3_64(&words).cast_signed()
    }

    /// The bytes of its key, for its wider templates' keys.
    pub(super) fn rendered(&self) -> Rendered {
        Rendered::new(&self.prefix, &self.pieces, self.masked(&[]).pieces == self.pieces)
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
            Kind::Word(class) => class.is_weak() && touches(),
            _ => false,
        }
    }

    /// `(word)`
    fn is_alone_in_brackets(&self, at: usize) -> bool {
        let is = |index: Option<usize>, mark: &str| {
            index
                .and_then(|i| self.pieces.get(i))
                .is_some_and(|p| p.kind == Kind::Mark && p.text == mark)
        };
        is(at.checked_sub(1), "(") && is(Some(at + 1), ")")
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
