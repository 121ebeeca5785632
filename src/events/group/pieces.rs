//! A message in pieces, normalised as they come (floor 2, pure).
//!
//! What must stay true: masks that only punctuation separates are one; `()` and a masked `(…)` are dropped; a masked `[…]` or
//! `{…}`, and a list of values in them, is one mask; what is repeated is there once. The same rules hold for the scanner's
//! pieces and for a template in which one more word was masked.

use super::repeats;
use super::words::{Class, Kind, Masked};

/// What stands for a value, for people.
pub(super) const MASK: &str = "<*>";
/// The same in the bytes of a key: no text of a message holds it, because control characters count as spaces.
pub(super) const RENDERED_MASK: u8 = 1;
/// Most pieces between the brackets of a list that is looked at.
const LONGEST_LIST: usize = 64;

/// A word, a value or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    /// Its text; a mask's is all that it covers.
    pub text: &'t str,
    /// What it is.
    pub kind: Kind,
    /// Whether space stood before it.
    pub spaced: bool,
    /// A mark of one byte: that byte; 0 for all else.
    sign: u8,
}

/// Marks that stand between two values of a list.
static JOINS: [bool; 256] = {
    let mut table = [false; 256];
    let (all, mut at) = (b",:;-./|+*#~&", 0);
    while at < all.len() {
        table[all[at] as usize] = true;
        at += 1;
    }
    table
};

impl<'t> Piece<'t> {
    #[inline]
    pub(super) fn new(text: &'t str, kind: Kind, spaced: bool) -> Self {
        let sign = match (kind, text.as_bytes()) {
            (Kind::Mark, [sign]) => *sign,
            _ => 0,
        };
        Self {
            text,
            kind,
            spaced,
            sign,
        }
    }

    #[inline]
    pub(super) fn is_mask(&self) -> bool {
        matches!(self.kind, Kind::Mask(_))
    }

    /// Whether it is this mark of one byte.
    #[inline]
    pub(super) fn is(&self, sign: u8) -> bool {
        self.sign == sign
    }

    /// Says something that no value says.
    #[inline]
    pub(super) fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Word(_) | Kind::Constant)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        (self.is_mask() && other.is_mask()) || (self.kind == other.kind && self.text == other.text)
    }

    pub(super) fn is_quote(&self) -> bool {
        matches!(self.sign, b'"' | b'\'' | b'`')
    }

    /// The same mark of one byte.
    pub(super) fn is_like_mark(&self, other: &Self) -> bool {
        self.sign != 0 && self.sign == other.sign
    }

    #[inline]
    pub(super) fn opens(&self) -> bool {
        matches!(self.sign, b'(' | b'[' | b'{')
    }

    pub(super) fn closes(&self) -> bool {
        matches!(self.sign, b')' | b']' | b'}')
    }

    /// A mark between two values of a list.
    #[inline]
    pub(super) fn joins(&self) -> bool {
        self.kind == Kind::Mark
            && match self.sign {
                0 => self.text.bytes().all(|byte| JOINS[usize::from(byte)]),
                sign => JOINS[usize::from(sign)],
            }
    }
}

/// Pieces of `text` on their way into a template.
pub(super) struct Pieces<'p, 't> {
    text: &'t str,
    out: &'p mut Vec<Piece<'t>>,
}

impl<'p, 't> Pieces<'p, 't> {
    pub(super) fn new(text: &'t str, out: &'p mut Vec<Piece<'t>>) -> Self {
        out.clear();
        Self { text, out }
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&Piece<'t>> {
        self.out.last()
    }

    /// Takes in the next piece.
    #[inline]
    pub(super) fn push(&mut self, piece: Piece<'t>) {
        if piece.is_mask() {
            return self.push_mask(piece);
        }
        match piece.sign {
            b')' => self.close_round(piece),
            b']' => self.close_list(b'[', piece),
            b'}' => self.close_list(b'{', piece),
            b'"' | b'\'' | b'`' => self.close_quote(piece),
            _ => self.out.push(piece),
        }
    }

    /// The same, whatever stands around it.
    #[inline]
    pub(super) fn push_as_it_is(&mut self, piece: Piece<'t>) {
        self.out.push(piece);
    }

    /// A mask in quotes is a mask.
    fn close_quote(&mut self, piece: Piece<'t>) {
        if let [.., open, mask] = self.out.as_slice()
            && open.is(piece.sign)
            && mask.is_mask()
        {
            let (first, spaced) = (open.text, open.spaced);
            self.out.truncate(self.out.len() - 2);
            let text = self.span(first, piece.text);
            self.push_mask(Piece::new(text, Kind::Mask(Masked::Quoted), spaced));
        } else {
            self.out.push(piece);
        }
    }

    fn push_mask(&mut self, piece: Piece<'t>) {
        let before = self.out.iter().rposition(|p| !p.joins());
        if let Some(at) = before
            && self.out[at].is_mask()
        {
            self.out.truncate(at + 1);
            let first = self.out[at].text;
            self.out[at].text = self.span(first, piece.text);
        } else {
            self.out.push(piece);
        }
    }

    /// The text from the beginning of one part to the end of another.
    fn span(&self, first: &str, last: &str) -> &'t str {
        let base = self.text.as_ptr() as usize;
        let (start, end) = (
            first.as_ptr() as usize - base,
            last.as_ptr() as usize - base + last.len(),
        );
        self.text.get(start..end).unwrap_or_default()
    }

    fn close_round(&mut self, piece: Piece<'t>) {
        match self.opened(b'(') {
            Some(at) if self.holds_values(at + 1) => self.out.truncate(at),
            _ => self.out.push(piece),
        }
    }

    fn close_list(&mut self, open: u8, piece: Piece<'t>) {
        match self.opened(open) {
            Some(at) if self.holds_values(at + 1) || self.holds_list(at + 1) => {
                let first = self.out[at];
                self.out.truncate(at);
                let text = self.span(first.text, piece.text);
                self.push_mask(Piece::new(text, Kind::Mask(Masked::List), first.spaced));
            }
            _ => self.out.push(piece),
        }
    }

    /// Where the bracket was opened that is closed now.
    fn opened(&self, open: u8) -> Option<usize> {
        let from = self.out.len().saturating_sub(LONGEST_LIST);
        let at = from + self.out[from..].iter().rposition(Piece::opens)?;
        self.out[at].is(open).then_some(at)
    }

    /// Nothing but values, and what is in quotes, stands from there on.
    fn holds_values(&self, from: usize) -> bool {
        self.out[from..]
            .iter()
            .all(|p| p.is_mask() || p.joins() || p.kind == Kind::Word(Class::Quoted))
    }

    /// Single words separated by commas stand from there on.
    fn holds_list(&self, from: usize) -> bool {
        let inside = &self.out[from..];
        inside.len() >= 3
            && inside.len() % 2 == 1
            && inside
                .iter()
                .enumerate()
                .all(|(i, p)| if i % 2 == 1 { p.is(b',') } else { p.kind != Kind::Mark })
    }

    /// What is repeated and holds a mask becomes one; whether anything was.
    pub(super) fn finish(self) -> bool {
        repeats::shorten_all(self.out)
    }
}

/// The bytes of a key: texts, one space where there was any, a byte for each mask. The pieces are parts of `text`; what
/// stands in it as it stands in the key is copied as a whole.
pub(super) fn render_key(text: &str, pieces: &[Piece<'_>], out: &mut Vec<u8>) {
    let (text, base) = (text.as_bytes(), text.as_ptr() as usize);
    let (mut from, mut to) = (0, 0);
    for (index, piece) in pieces.iter().enumerate() {
        let start = piece.text.as_ptr() as usize - base;
        let spaced = piece.spaced && index > 0;
        let goes_on =
            from < to && !piece.is_mask() && start == to + usize::from(spaced) && (!spaced || text[to] == b' ');
        if goes_on {
            to = start + piece.text.len();
            continue;
        }
        out.extend_from_slice(&text[from..to]);
        (from, to) = (0, 0);
        if spaced {
            out.push(b' ');
        }
        if piece.is_mask() {
            out.push(RENDERED_MASK);
        } else {
            (from, to) = (start, start + piece.text.len());
        }
    }
    out.extend_from_slice(&text[from..to]);
}

/// The template as people read it.
pub(super) fn render(pieces: &[Piece<'_>]) -> String {
    let mut out = String::with_capacity(pieces.iter().map(|p| p.text.len().min(32) + 1).sum());
    for (index, piece) in pieces.iter().enumerate() {
        if piece.spaced && index > 0 {
            out.push(' ');
        }
        out.push_str(if piece.is_mask() { MASK } else { piece.text });
    }
    out
}
