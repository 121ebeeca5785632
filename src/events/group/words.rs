//! What one word is (floor 2, pure): a value that varies, a constant, a name, or a plain word.
//!
//! What must stay true: one pass over the word's bytes; whatever has a digit varies. Called by the scanner for each word,
//! and for what stands in quotes.

use super::letters::Letters;
use super::lists;
use super::make::Make;

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
    /// Several capitalised words inside a sentence.
    Name = 6,
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

/// What a word without `:` is.
pub(super) fn kind_of(word: &str, make: Make) -> Kind {
    if make.has_at()
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
    if make.dots() > 0 && is_place(word, make) {
        return Kind::Mask(Masked::Host);
    }
    if word.len() >= 8 && !(make.is_not_hex() || make.has_at()) && make.dots() + make.slashes() == 0 {
        return Kind::Mask(Masked::Hex);
    }
    // `I/O`, `TCP/IP`
    if make.slashes() == 1 && make.capitals() == make.letters() {
        return Kind::Word(Class::Plain);
    }
    Kind::Word(
        if make.has_joint() || make.has_at() || make.dots() + make.slashes() > 0 {
            Class::Compound
        } else if make.has_hump() && make.capitals() < make.letters() {
            Class::Camel
        } else {
            Class::Plain
        },
    )
}

/// The same for a word of letters alone.
#[inline]
pub(super) fn kind_of_letters(word: &str, run: Letters) -> Kind {
    if lists::is_constant(word) || is_thrown(word) {
        Kind::Constant
    } else if word.len() >= 8 && !run.not_hex {
        Kind::Mask(Masked::Hex)
    } else if run.hump {
        Kind::Word(Class::Camel)
    } else {
        Kind::Word(Class::Plain)
    }
}

fn masked_digits(word: &str, make: Make) -> Masked {
    if make.dots() >= 2 {
        Masked::Address
    } else if make.letters() > 0
        && (word.starts_with("0x") || (!make.is_not_hex() && make.letters() + make.digits() >= 8))
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
    if make.dots() >= 2 {
        return !(last.len() > 1 && last.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    }
    lists::is_tld(last)
}

/// `/a`, `./a`, `~/a`, `C:\a`, `a\b`, `a/b/c`, `a/b.c`.
pub(super) fn is_path(word: &str, make: Make) -> bool {
    if make.slashes() == 0 && !make.has_backslash() {
        return false;
    }
    let bytes = word.as_bytes();
    if make.has_backslash() {
        return bytes.len() > 2 && make.letters() + make.digits() > 0;
    }
    let rooted = bytes[0] == b'/' && bytes.len() > 1 && bytes[1] != b'/';
    let relative = word.starts_with("./") || word.starts_with("../") || word.starts_with("~/");
    let file = || {
        word.rsplit('/')
            .next()
            .is_some_and(|last| last.contains('.') || last.is_empty())
            && make.dots() > 0
            && make.letters() > 0
    };
    rooted || relative || (make.slashes() >= 2 && make.letters() > 0) || file()
}
