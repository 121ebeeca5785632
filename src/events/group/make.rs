//! What the bytes of a word are made of (floor 2, pure).
//!
//! What must stay true: one pass over the bytes, one look at a table for each. Called by the scanner for each word that is more
//! than letters, and for what stands in quotes; `words` says what follows from it.

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

const NOT_HEX: u8 = 1;
const BACKSLASH: u8 = 2;
const AT: u8 = 4;
const HUMP: u8 = 8;
const JOINT: u8 = 16;
/// What it is depends on the bytes around it.
const LOOK: u8 = 32;
/// The byte may end a word, or begins a character of several bytes.
const APART: u8 = 64;

/// What each byte adds to the counts, and what it is a sign of.
static ADDED: [(u64, u8); 256] = {
    let mut table = [(0, NOT_HEX); 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'0'..=b'9' => (DIGIT, 0),
            b'a'..=b'f' => (LETTER, 0),
            b'g'..=b'z' => (LETTER, NOT_HEX),
            0x80.. => (LETTER, NOT_HEX | APART),
            b'A'..=b'F' => (LETTER + CAPITAL, LOOK),
            b'G'..=b'Z' => (LETTER + CAPITAL, LOOK | NOT_HEX),
            b':' => (COLON, 0),
            b'/' | b'.' | b'-' => (0, LOOK),
            b'_' | b'$' => (0, LOOK | NOT_HEX),
            b'\\' => (0, BACKSLASH),
            b'@' => (0, AT),
            b'!' | b'#' | b'%' | b'&' | b'*' | b'+' | b'?' | b'^' | b'~' => (0, NOT_HEX),
            _ => (0, NOT_HEX | APART),
        };
        at += 1;
    }
    table
};

impl Make {
    /// Takes in the bytes from `from` to the first that is [`APART`], and gives its place; the word began at `start`.
    #[inline]
    pub(super) fn add_run(&mut self, bytes: &[u8], from: usize, start: usize) -> usize {
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            let (count, signs) = ADDED[usize::from(byte)];
            if signs & APART != 0 {
                break;
            }
            self.counts += count;
            self.signs |= signs;
            if signs & LOOK != 0 {
                self.look(bytes, at, start);
            }
            at += 1;
        }
        at
    }

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

    pub(super) fn capitals(self) -> u16 {
        (self.counts >> 32) as u16
    }

    pub(super) fn colons(self) -> u16 {
        (self.counts >> 48) as u16
    }

    pub(super) fn slashes(self) -> u16 {
        self.slashes
    }

    pub(super) fn dots(self) -> u16 {
        self.dots
    }

    /// Something that no hexadecimal number has.
    pub(super) fn is_not_hex(self) -> bool {
        self.signs & NOT_HEX != 0
    }

    pub(super) fn has_backslash(self) -> bool {
        self.signs & BACKSLASH != 0
    }

    pub(super) fn has_at(self) -> bool {
        self.signs & AT != 0
    }

    /// A capital stands after a small letter.
    pub(super) fn has_hump(self) -> bool {
        self.signs & HUMP != 0
    }

    /// `_`, `-` or `$` stands between other characters.
    pub(super) fn has_joint(self) -> bool {
        self.signs & JOINT != 0
    }
}
