//! A message's text into pieces (floor 2, pure): what varies from one occurrence to the next is masked.
//!
//! What must stay true: one pass over the text, no allocation besides the list of pieces; the same text gives the same
//! pieces on every machine; nothing panics, whatever the text holds.

use super::bytes::{BYTES, Byte, is_end_of_word};
use super::letters::Letters;
use super::lists;
use super::make::Make;
use super::pieces::{Piece, Pieces};
use super::quotes::quoted;
use super::shapes;
use super::words::{Class, Kind, Masked, is_path, kind_of, kind_of_letters};

/// Most pieces of a text; what follows is left out.
const MOST_PIECES: usize = 400;

/// The pieces of a text. If only masks would be left, the runs of digits alone are masked. Says whether the pieces are surely
/// settled: each went in as it is, so that the same pieces in the same order would stay as they are.
pub(super) fn scan<'t>(text: &'t str, out: &mut Vec<Piece<'t>>) -> bool {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        at: 0,
        spaced: false,
        name_next: false,
        value_next: false,
        pieces: Pieces::new(text, out),
    };
    let mut pieces = 0;
    while scanner.at < text.len() && pieces < MOST_PIECES {
        scanner.step();
        pieces += 1;
    }
    let shortened = scanner.pieces.finish();
    if out.iter().any(Piece::is_word) {
        return !shortened;
    }
    shapes::mask_digits(text, out);
    false
}

struct Scanner<'p, 't> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    spaced: bool,
    /// The word before names a thing, so that the next one may be the thing's name.
    name_next: bool,
    /// `=` stands right before.
    value_next: bool,
    pieces: Pieces<'p, 't>,
}

impl<'t> Scanner<'_, 't> {
    #[inline]
    fn step(&mut self) {
        match BYTES[usize::from(self.bytes[self.at])] {
            Byte::Space => {
                let more = self.bytes[self.at + 1..].iter().take_while(|byte| **byte == b' ');
                self.at += 1 + more.count();
                self.spaced = true;
                self.close_value();
            }
            Byte::Letter => self.letters(),
            Byte::Word => self.word(),
            Byte::Mark => self.mark(),
            Byte::Quote => self.quote(1),
            Byte::Wide => match shapes::wide(&self.text[self.at..]) {
                shapes::Wide::Space(length) => {
                    self.spaced = true;
                    self.at += length;
                }
                shapes::Wide::Mark(length) => self.push(length, Kind::Mark),
                shapes::Wide::Quote(length) => self.quote(length),
                shapes::Wide::Letter => self.word(),
            },
        }
    }

    /// Takes in the next `length` bytes.
    #[inline]
    fn push(&mut self, length: usize, kind: Kind) {
        let text = &self.text[self.at..self.at + length];
        self.pieces.push(Piece::new(text, kind, self.spaced));
        self.spaced = false;
        self.at += length;
        self.value_next = false;
        match kind {
            Kind::Word(class) => self.name_next = class == Class::Plain && lists::names_something(text),
            Kind::Mark => self.name_next &= matches!(text, ":" | "#"),
            _ => self.name_next = false,
        }
    }

    fn mark(&mut self) {
        match self.bytes[self.at] {
            b'=' => return self.equals(),
            b'{' | b'[' => {
                if let Some(length) = shapes::json(&self.text[self.at..]).filter(|_| self.at > 0) {
                    return self.push(length, Kind::Mask(Masked::List));
                }
            }
            b'<' if self.text[self.at..].starts_with(super::pieces::MASK) => {
                return self.push(super::pieces::MASK.len(), Kind::Mask(Masked::Word));
            }
            // `<1 sec` is a quantity as `2 sec` is.
            b'<' | b'>' if self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                self.at += 1;
                return;
            }
            b',' | b';' | b')' | b']' | b'}' => self.close_value(),
            _ => {}
        }
        self.push(1, Kind::Mark);
    }

    /// `key=`: a value follows, or nothing does.
    fn equals(&mut self) {
        let after_word = !self.spaced && self.pieces.last().is_some_and(Piece::is_word);
        let doubled = matches!(self.bytes.get(self.at + 1), Some(b'=' | b'>' | b'~'));
        self.push(1, Kind::Mark);
        self.value_next = after_word && !doubled;
        if self.at == self.bytes.len() {
            self.close_value();
        }
    }

    /// A key that was left without its value has an empty one.
    fn close_value(&mut self) {
        if !self.value_next {
            return;
        }
        let (at, spaced) = (self.at, self.spaced);
        self.spaced = false;
        self.push(0, Kind::Mask(Masked::Empty));
        (self.at, self.spaced) = (at, spaced);
    }

    fn quote(&mut self, length: usize) {
        let after_word = !self.spaced && self.pieces.last().is_some_and(|p| p.kind != Kind::Mark);
        if after_word {
            return self.push(length, Kind::Mark);
        }
        match quoted(&self.text[self.at..], length) {
            Some((length, kind)) if length < self.text.len() => self.push(length, kind),
            _ => self.push(length, Kind::Mark),
        }
    }

    /// A word that may be nothing but letters, as most are.
    fn letters(&mut self) {
        let run = Letters::from(self.bytes, self.at);
        let word = &self.text[self.at..self.at + run.length];
        if !is_end_of_word(self.bytes, self.at + run.length) {
            return self.word();
        }
        let kind = match kind_of_letters(word, run) {
            Kind::Word(class) => self.word_kind(word, class),
            other => other,
        };
        match kind {
            Kind::Word(class) => self.push_word(word, class),
            other => self.push(run.length, other),
        }
    }

    /// The same as `push` for a word, which changes nothing before it.
    #[inline]
    fn push_word(&mut self, word: &'t str, class: Class) {
        self.pieces
            .push_as_it_is(Piece::new(word, Kind::Word(class), self.spaced));
        (self.spaced, self.value_next) = (false, false);
        self.at += word.len();
        self.name_next = class == Class::Plain && lists::names_something(word);
    }

    /// A run of bytes that may be a word, several words joined by `:`, a URL, a path …
    fn word(&mut self) {
        let start = self.at;
        let mut make = Make::default();
        let mut end = start;
        loop {
            end = make.add_run(self.bytes, end, start);
            let Some(&byte) = self.bytes.get(end) else { break };
            match BYTES[usize::from(byte)] {
                Byte::Letter | Byte::Word => {}
                Byte::Wide if shapes::wide(&self.text[end..]) == shapes::Wide::Letter => {}
                // The apostrophe of `don't`.
                Byte::Quote if shapes::is_apostrophe(self.bytes, start, end) => {}
                _ => break,
            }
            make.add(self.bytes, end, start);
            end += shapes::char_length(byte);
        }
        end = self.trimmed(start, end);
        let run = &self.text[start..end];
        if make.colons() > 0 && end > start {
            self.joined(run, make);
        } else {
            self.one(run, make);
        }
    }

    /// Without the punctuation at the end of a sentence; all of it when there is nothing else.
    #[inline]
    fn trimmed(&self, start: usize, end: usize) -> usize {
        let mut trimmed = end;
        while trimmed > start && matches!(self.bytes[trimmed - 1], b'.' | b':' | b'!' | b'?') {
            trimmed -= 1;
        }
        if trimmed == start { end } else { trimmed }
    }

    /// One word without `:`.
    fn one(&mut self, word: &'t str, make: Make) {
        let mut kind = kind_of(word, make);
        let mut length = word.len();
        match kind {
            Kind::Word(class) => kind = self.word_kind(word, class),
            Kind::Mask(Masked::Path) => length = shapes::path_length(&self.text[self.at..], word.len()),
            Kind::Mask(Masked::Number) if make.letters() == 0 => {
                let unit = shapes::unit_length(&self.text[self.at + length..]);
                if unit > 0 {
                    length += unit;
                    kind = Kind::Mask(Masked::Quantity);
                }
            }
            _ => {}
        }
        self.push(length, kind);
    }

    /// A word by what stands before and after it.
    fn word_kind(&self, word: &'t str, class: Class) -> Kind {
        let after_mask = self.pieces.last().is_some_and(Piece::is_mask);
        // Names of months, days and zones begin with a capital; `am` and `pm` follow a number.
        let dated = word.as_bytes()[0].is_ascii_uppercase() || (after_mask && word.len() == 2);
        if class == Class::Plain && word.len() <= 9 && dated {
            let next = || self.text[self.at + word.len()..].trim_start_matches([' ', ',', '.']);
            let dated = || after_mask || shapes::begins_dated(next());
            if (lists::is_day_or_month(word) && dated()) || (after_mask && lists::is_zone(word)) {
                return Kind::Mask(Masked::Time);
            }
        }
        if self.name_next && class > Class::Keyed && lists::can_be_name(word) {
            return Kind::Word(Class::Keyed);
        }
        if self.value_next && class > Class::Value {
            return Kind::Word(Class::Value);
        }
        Kind::Word(class)
    }

    /// A run with `:` in it.
    fn joined(&mut self, run: &'t str, make: Make) {
        if make.slashes() >= 2
            && let Some(at) = run.find("://")
        {
            let length = shapes::url_length(&self.text[self.at..]);
            // `jdbc:mysql://host/db` and `url:http://…` alike.
            if run[..at]
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b':'))
            {
                return self.push(length, Kind::Mask(Masked::Url));
            }
        }
        if shapes::is_drive(run) {
            let length = shapes::path_length(&self.text[self.at..], run.len());
            return self.push(length, Kind::Mask(Masked::Path));
        }
        if shapes::is_timelike(run, make) {
            return self.push(
                run.len(),
                Kind::Mask(if make.colons() > 1 {
                    Masked::Address
                } else {
                    Masked::Time
                }),
            );
        }
        if is_path(run, make) && run.starts_with(['/', '.', '~']) {
            return self.push(run.len(), Kind::Mask(Masked::Path));
        }
        let end = self.at + run.len();
        while self.at < end {
            let rest = &self.text[self.at..end];
            let part = rest.find(':').unwrap_or(rest.len());
            if part == 0 {
                let colons = rest.len() - rest.trim_start_matches(':').len();
                self.push(colons, Kind::Mark);
            } else {
                let word = &rest[..part];
                let make = Make::of(word);
                self.one(word, make);
            }
        }
    }
}
