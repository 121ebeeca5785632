//! What stands in quotes (floor 2, pure): one value, or a text to be read through.
//!
//! What must stay true: it looks no further ahead than its bound says; lengths end on characters. Called by the scanner.

use super::lists;
use super::make::Make;
use super::words::{Class, Kind, Masked, is_path, kind_of};

/// Longest quoted word, in bytes.
const LONGEST_QUOTED: usize = 200;
/// Longest quoted phrase that is one value, in bytes, and its most words.
const LONGEST_PHRASE: usize = 48;
const MOST_WORDS: usize = 5;

/// The length of what is quoted at the start, and what it is; `None` when it is no value.
pub(super) fn quoted(text: &str, opening: usize) -> Option<(usize, Kind)> {
    if opening == 1
        && let Some(word) = quoted_word(text)
    {
        return Some(word);
    }
    let close = match &text[..opening] {
        "“" | "„" => "”",
        "«" => "»",
        "‘" | "‚" => "’",
        "「" => "」",
        "『" => "』",
        "‹" => "›",
        // `quoted' is older than Unicode.
        "`" if !text[1..].contains('`') => "'",
        same => same,
    };
    let bound = (opening + LONGEST_QUOTED).min(text.len());
    let within = &text.as_bytes()[opening..bound];
    let length = match close.as_bytes() {
        [one] => within.iter().position(|byte| byte == one)?,
        all => within.windows(all.len()).position(|window| window == all)?,
    };
    let inside = &text[opening..opening + length];
    let end = opening + length + close.len();
    let word_follows = || text[end..].starts_with(char::is_alphanumeric);
    if inside.contains('\n') || (close == "'" && word_follows()) {
        return None;
    }
    let kind = if inside.trim().is_empty() {
        Kind::Mask(Masked::Empty)
    } else {
        of_quoted(inside)?
    };
    Some((end, kind))
}

/// The same for one word in simple quotes; `None` when it needs a closer look.
fn quoted_word(text: &str) -> Option<(usize, Kind)> {
    let bytes = text.as_bytes();
    let mut make = Make::default();
    let end = make.add_run(bytes, 1, 1);
    let closes = end > 1 && end <= LONGEST_QUOTED && bytes.get(end) == bytes.first();
    let goes_on = || {
        bytes[0] == b'\''
            && bytes
                .get(end + 1)
                .is_some_and(|b| !b.is_ascii() || b.is_ascii_alphanumeric())
    };
    (closes && !goes_on()).then(|| (end + 1, of_quoted_word(&text[1..end], make)))
}

/// What a quoted word is: masked with a digit, a path or a URL, else a word of its own.
fn of_quoted_word(word: &str, make: Make) -> Kind {
    let varies = match make.colons() {
        _ if make.digits() > 0 => true,
        0 => matches!(kind_of(word, make), Kind::Mask(_)),
        _ => word.contains("://"),
    };
    if varies {
        Kind::Mask(Masked::Quoted)
    } else {
        Kind::Word(Class::Quoted)
    }
}

/// What a quoted text is: masked with a digit or a path, else a word of its own; long ones are read through.
fn of_quoted(inside: &str) -> Option<Kind> {
    let mut words = inside.split_ascii_whitespace();
    let first = words.next()?;
    if words.next().is_none() {
        return Some(of_quoted_word(inside, Make::of(inside)));
    }
    // Two words were met already.
    if inside.len() > LONGEST_PHRASE || words.nth(MOST_WORDS - 2).is_some() || lists::is_verb(first) {
        return None;
    }
    let varies = inside.bytes().any(|b| b.is_ascii_digit())
        || inside
            .split_ascii_whitespace()
            .any(|word| is_path(word, Make::of(word)));
    Some(if varies {
        Kind::Mask(Masked::Quoted)
    } else {
        Kind::Word(Class::Quoted)
    })
}
