//! What one word is (floor 2, pure): a value that varies, a constant, a name, or a plain word.
//!
//! What must stay true: one pass over the word's bytes; whatever has a digit varies. Called by the scanner for each word,
//! and for what stands in quotes.

use super::lists;

/// What a masked value was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Masked {
    /// A number, or a word that holds one.
    Number,
    /// A number with its unit.
    Quantity,
    /// Hexadecimal digits.
    Hex,
    /// A URL.
    Url,
    /// An e-mail address.
    Email,
    /// A date, a time or a part of one.
    Time,
    /// A MAC or IP address.
    Address,
    /// A host, with its port or without.
    Host,
    /// A path of files.
    Path,
    /// What stood in quotes.
    Quoted,
    /// A list, or a JSON text.
    List,
    /// The value that a key was left without.
    Empty,
    /// A word that was seen to vary.
    Word,
}

/// How soon a word is taken for a value, once its place was seen to vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// In quotes.
    Quoted = 0,
    /// After a word such as `user` or `table`.
    Keyed = 1,
    /// Made of parts: `a_b`, `a-b`, `a.b`, `a/b`.
    Compound = 2,
    /// With a capital inside: `mapTask`.
    Camel = 3,
    /// After `key=`.
    Value = 4,
    /// Any other word.
    Plain = 5,
}

impl Class {
    /// Whether it is a name rather than a word of a sentence.
    pub(super) fn is_weak(self) -> bool {
        self != Self::Plain
    }
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Punctuation.
    Mark,
    /// A value.
    Mask(Masked),
    /// A word that is never taken for a value.
    Constant,
    /// A word.
    Word(Class),
}

/// What the bytes of a word are made of.
#[derive(Default, Clone, Copy)]
pub(super) struct Make {
    /// Digits, letters, capitals and colons, 16 bits each: a text has fewer bytes than they can count.
    counts: u64,
    slashes: u16,
    dots: u16,
    signs: u8,
}

const DIGIT: u64 = 1;
const LETTER: u64 = 1 << 16;
const CAPITAL: u64 = 1 << 32;
const COLON: u64 = 1 << 48;

/// Something that no hexadecimal number has.
const NOT_HEX: u8 = 1;
const BACKSLASH: u8 = 2;
const AT: u8 = 4;
/// A capital after a small letter.
const HUMP: u8 = 8;
/// `_`, `-` or `$` between other characters.
const JOINT: u8 = 16;
/// What it is depends on the bytes around it.
const LOOK: u8 = 32;

/// What each byte adds to the counts, and what it is a sign of.
static ADDED: [(u64, u8); 256] = {
    let mut table = [(0, NOT_HEX); 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'0'..=b'9' => (DIGIT, 0),
            b'a'..=b'f' => (LETTER, 0),
            b'g'..=b'z' | 0x80.. => (LETTER, NOT_HEX),
            b'A'..=b'F' => (LETTER + CAPITAL, LOOK),
            b'G'..=b'Z' => (LETTER + CAPITAL, LOOK | NOT_HEX),
            b':' => (COLON, 0),
            b'/' | b'.' | b'-' => (0, LOOK),
            b'_' | b'$' => (0, LOOK | NOT_HEX),
            b'\\' => (0, BACKSLASH),
            b'@' => (0, AT),
            _ => (0, NOT_HEX),
        };
        at += 1;
    }
    table
};

impl Make {
    /// Takes in the byte at `at`.
    #[inline]
    pub(super) fn add(&mut self, bytes: &[u8], at: usize, start: usize) {
        let (count, signs) = ADDED[usize::from(bytes[at])];
        self.counts += count;
        self.signs |= signs;
        if signs & LOOK != 0 {
            self.look(bytes, at, start);
        }
    }

    #[inline]
    fn look(&mut self, bytes: &[u8], at: usize, start: usize) {
        // Only between other characters: a sentence's end is no part of a name.
        let between = || at > start && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        match bytes[at] {
            b'/' => self.slashes += 1,
            b'.' => self.dots += u16::from(between()),
            b'_' | b'-' | b'$' => self.signs |= if between() { JOINT } else { 0 },
            _ if at > start && bytes[at - 1].is_ascii_lowercase() => self.signs |= HUMP,
            _ => {}
        }
    }

    /// The make of a whole text.
    pub(super) fn of(word: &str) -> Self {
        let mut make = Self::default();
        for at in 0..word.len() {
            make.add(word.as_bytes(), at, 0);
        }
        make
    }

    pub(super) fn digits(self) -> u16 {
        self.counts as u16
    }

    pub(super) fn letters(self) -> u16 {
        (self.counts >> 16) as u16
    }

    fn capitals(self) -> u16 {
        (self.counts >> 32) as u16
    }

    pub(super) fn colons(self) -> u16 {
        (self.counts >> 48) as u16
    }

    pub(super) fn slashes(self) -> u16 {
        self.slashes
    }

    fn has(self, sign: u8) -> bool {
        self.signs & sign != 0
    }
}

/// What a word without `:` is.
pub(super) fn kind_of(word: &str, make: Make) -> Kind {
    if make.has(AT)
        && word
            .rsplit_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
    {
        return Kind::Mask(Masked::Email);
    }
    if is_path(word, make) {
        return Kind::Mask(Masked::Path);
    }
    if make.digits() > 0 {
        return Kind::Mask(masked_digits(word, make));
    }
    if make.letters() == 0 {
        return Kind::Mark;
    }
    if lists::is_constant(word) || is_thrown(word) {
        return Kind::Constant;
    }
    if make.dots > 0 && is_place(word, make) {
        return Kind::Mask(Masked::Host);
    }
    if word.len() >= 8 && !make.has(NOT_HEX | AT) && make.dots + make.slashes == 0 {
        return Kind::Mask(Masked::Hex);
    }
    // `I/O`, `TCP/IP`
    if make.slashes == 1 && make.capitals() == make.letters() {
        return Kind::Word(Class::Plain);
    }
    Kind::Word(if make.has(JOINT | AT) || make.dots + make.slashes > 0 {
        Class::Compound
    } else if make.has(HUMP) && make.capitals() < make.letters() {
        Class::Camel
    } else {
        Class::Plain
    })
}

fn masked_digits(word: &str, make: Make) -> Masked {
    if make.dots >= 2 {
        Masked::Address
    } else if make.letters() > 0
        && (word.starts_with("0x") || (!make.has(NOT_HEX) && make.letters() + make.digits() >= 8))
    {
        Masked::Hex
    } else {
        Masked::Number
    }
}

/// `…Exception` and `…Error`: another one is another error.
fn is_thrown(word: &str) -> bool {
    word.len() > 5 && (word.ends_with("Exception") || word.ends_with("Error"))
}

/// A host or a package: two dots, or one before a top-level domain; a dotted `…SCREAMING_CASE` is an action's name.
fn is_place(word: &str, make: Make) -> bool {
    let last = word.rsplit('.').next().unwrap_or_default();
    if make.dots >= 2 {
        return !(last.len() > 1 && last.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    }
    lists::is_tld(last)
}

/// `/a`, `./a`, `~/a`, `C:\a`, `a\b`, `a/b/c`, `a/b.c`.
pub(super) fn is_path(word: &str, make: Make) -> bool {
    if make.slashes == 0 && !make.has(BACKSLASH) {
        return false;
    }
    let bytes = word.as_bytes();
    if make.has(BACKSLASH) {
        return bytes.len() > 2 && make.letters() + make.digits() > 0;
    }
    let rooted = bytes[0] == b'/' && bytes.len() > 1 && bytes[1] != b'/';
    let relative = word.starts_with("./") || word.starts_with("../") || word.starts_with("~/");
    let file = || {
        word.rsplit('/')
            .next()
            .is_some_and(|last| last.contains('.') || last.is_empty())
            && make.dots > 0
            && make.letters() > 0
    };
    rooted || relative || (make.slashes >= 2 && make.letters() > 0) || file()
}
