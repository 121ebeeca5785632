//! Names of several words (floor 2, pure): `Old Orders` in `Channel Old Orders stopped` is one name.
//!
//! What must stay true: it changes where a piece ends and nothing of what a key is made of, so that a message has the same key
//! whichever version of the rules judges it; a name is never taken for a value by itself, its place is counted like that of
//! any other name. Called for a message whose key no group has.

use super::lists;
use super::pieces::Piece;
use super::words::{Class, Kind};

/// Most words of a name; where more are capitalised, the text is.
pub(super) const MOST_WORDS: usize = 4;

/// What a capitalised word may be by what stands before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that says anything: a sentence begins here.
    Nothing,
    /// A mark: a sentence begins here, or a name is all that comes.
    Mark,
    /// A word, a value or a comma.
    Text,
}

impl Before {
    fn after(self, piece: &Piece<'_>) -> Self {
        match piece.kind {
            Kind::Mark if piece.is(b',') => self,
            Kind::Mark | Kind::Mask(_) if self == Self::Nothing => self,
            Kind::Mark => Self::Mark,
            _ => Self::Text,
        }
    }
}

/// Makes one piece of each name of several words that `text`, whose pieces these are, has; whether there was any.
/// What is in a list stays as it is: the list is a value as a whole.
pub(super) fn join<'t>(text: &'t str, pieces: &mut Vec<Piece<'t>>) -> bool {
    let (mut before, mut open, mut from, mut kept) = (Before::Nothing, 0_usize, 0, 0);
    while from < pieces.len() {
        let run = capitalised(text, &pieces[from..]);
        let piece = pieces[from];
        let name = name_of(&pieces[from..], run, before).filter(|_| open == 0);
        let taken = name.map_or(run.max(1), |name| name.0);
        pieces.copy_within(from..from + taken, kept);
        (from, kept) = (from + taken, kept + taken);
        if let Some((_, words)) = name {
            pieces[kept] = joined(text, &pieces[from..from + words]);
            (from, kept) = (from + words, kept + 1);
        }
        before = before.after(&piece);
        match piece.kind {
            Kind::Mark if piece.is(b'[') || piece.is(b'{') => open += 1,
            Kind::Mark if piece.is(b']') || piece.is(b'}') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    pieces.truncate(kept);
    kept < from
}

/// Where two capitalised words, or a word and a name, may be a name that begins a sentence: `Old Orders` in `Old Orders could
/// not be read`, unless the first is a word of the sentence, as in `Customer Acme could not be read`.
pub(super) fn beginning_sentences<'p>(text: &'p str, pieces: &'p [Piece<'_>]) -> impl Iterator<Item = usize> + 'p {
    let mut before = Before::Nothing;
    pieces.iter().enumerate().filter_map(move |(at, piece)| {
        let here = before;
        before = before.after(piece);
        let run = if here == Before::Text || !piece.is_word() {
            0
        } else {
            capitalised(text, &pieces[at..pieces.len().min(at + 2)])
        };
        let fits = run == 2 && !lists::names_something(piece.text) && !says(&pieces[at..at + 2]);
        fits.then_some(at)
    })
}

/// How many capitalised words stand there, each one space behind the other.
fn capitalised(text: &str, pieces: &[Piece<'_>]) -> usize {
    let begin = |piece: &Piece<'_>| piece.text.as_ptr() as usize - text.as_ptr() as usize;
    let follows = |at: usize| {
        let end = begin(&pieces[at - 1]) + pieces[at - 1].text.len();
        text.as_bytes().get(end) == Some(&b' ') && begin(&pieces[at]) == end + 1
    };
    let is_next = |(at, piece): &(usize, &Piece<'_>)| is_capitalised(piece) && (*at == 0 || follows(*at));
    pieces.iter().enumerate().take_while(is_next).count()
}

/// Begins with a capital and goes on in small letters.
fn is_capitalised(piece: &Piece<'_>) -> bool {
    let class = match piece.kind {
        Kind::Word(Class::Compound) => !piece.text.contains(['_', '.', '/', '$', '@']),
        Kind::Word(class) => matches!(class, Class::Plain | Class::Keyed | Class::Name),
        _ => false,
    };
    class && piece.text.starts_with(char::is_uppercase) && piece.text.contains(char::is_lowercase)
}

/// Which of so many capitalised words are a name: how many come before it, and how many it has.
fn name_of(pieces: &[Piece<'_>], run: usize, before: Before) -> Option<(usize, usize)> {
    if run < 2 {
        return None;
    }
    let next = pieces.get(run);
    // A sentence goes on with a verb.
    let is_all = next.is_none_or(|next| next.kind == Kind::Mark || matches!(next.text, "and" | "or"));
    let begins = before == Before::Nothing || (before == Before::Mark && !is_all);
    let mut first = usize::from(begins);
    while first < run && lists::names_something(pieces[first].text) {
        first += 1;
    }
    let words = &pieces[first..run];
    let fits = (2..=MOST_WORDS).contains(&words.len());
    (fits && !says(words)).then_some((first, words.len()))
}

/// Whether the words, of which there is one at least, say what became of something, or are a sentence's.
fn says(words: &[Piece<'_>]) -> bool {
    let last = words[words.len() - 1].text;
    lists::ends_no_name(last) || words.iter().any(|word| lists::is_in_no_name(word.text))
}

fn joined<'t>(text: &'t str, words: &[Piece<'t>]) -> Piece<'t> {
    let (first, last) = (words[0], words[words.len() - 1]);
    let base = text.as_ptr() as usize;
    let (start, end) = (
        first.text.as_ptr() as usize - base,
        last.text.as_ptr() as usize - base + last.text.len(),
    );
    let class = if first.kind == Kind::Word(Class::Keyed) {
        Class::Keyed
    } else {
        Class::Name
    };
    Piece::new(&text[start..end], Kind::Word(class), first.spaced)
}

#[cfg(test)]
mod tests;
