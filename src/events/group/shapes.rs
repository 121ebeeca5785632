//! Values that are more than one word (floor 2, pure): URLs, paths with spaces, quantities, JSON.
//!
//! What must stay true: each looks only as far ahead as its bound says, so that a text is read in time that grows with its
//! length; lengths end on characters. Called by the scanner.

use super::lists;
use super::make::Make;
use super::pieces::Piece;
use super::words::{Kind, Masked};

/// Longest JSON text that is looked through, in bytes.
const LONGEST_JSON: usize = 4096;

/// What a character beyond ASCII is to the scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Space(usize),
    Mark(usize),
    Quote(usize),
    Letter,
}

/// What the character at the start is.
pub(super) fn wide(text: &str) -> Wide {
    let Some(c) = text.chars().next() else {
        return Wide::Letter;
    };
    let length = c.len_utf8();
    match c {
        c if c.is_whitespace() || ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{feff}' => Wide::Space(length),
        '“' | '„' | '«' | '‘' | '‚' | '「' | '『' | '‹' => Wide::Quote(length),
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3020}' | '»' => Wide::Mark(length),
        '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' => Wide::Mark(length),
        '\u{2190}'..='\u{27bf}' => Wide::Mark(length),
        _ => Wide::Letter,
    }
}

/// How many bytes the character has that begins with this one.
pub(super) fn char_length(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// Whether the quote at `at` is inside a word.
pub(super) fn is_apostrophe(bytes: &[u8], start: usize, at: usize) -> bool {
    bytes[at] == b'\''
        && at > start
        && bytes[at - 1].is_ascii_alphabetic()
        && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
}

/// The length of the URL at the start: to the next space, quote or angle, without a sentence's punctuation.
pub(super) fn url_length(text: &str) -> usize {
    let end = text
        .find(|c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|' | '{' | '}')
        })
        .unwrap_or(text.len());
    let url = &text[..end];
    let mut trimmed = url.trim_end_matches([',', ';', '.', ':', '!', '?', ']']);
    if trimmed.ends_with(')') && !trimmed.contains('(') {
        trimmed = trimmed.trim_end_matches([')', '.', ',', ';', ':']);
    }
    trimmed.len()
}

/// `C:\a`
pub(super) fn is_drive(run: &str) -> bool {
    let bytes = run.as_bytes();
    bytes.len() >= 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/')
}

/// The length of a path whose first word has `length` bytes: with its query, and with words after spaces that are its parts.
pub(super) fn path_length(text: &str, length: usize) -> usize {
    let query = text[..length].contains('?');
    if query {
        let end = text
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|'))
            .unwrap_or(text.len());
        return text[..end]
            .trim_end_matches([',', ';', '.', ':', '!', '?', ')', ']'])
            .len()
            .max(length);
    }
    let windows = text[..length].contains('\\');
    let mut end = length;
    while let Some(rest) = text[end..].strip_prefix(' ') {
        let word = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ',' | ';'))
            .unwrap_or(rest.len());
        let word = rest[..word].trim_end_matches(['.', ':', '!', '?', ')']);
        let part = if windows {
            word.contains('\\') && !is_drive(word) && !word.starts_with('\\')
        } else {
            // `/srv/my files/a.txt`
            !word.starts_with('/')
                && word.split_once('/').is_some_and(|(_, last)| last.contains('.'))
                && !word.contains("://")
        };
        if !part {
            break;
        }
        end += 1 + word.len();
    }
    end
}

/// The length of the unit that follows a number, with its space.
pub(super) fn unit_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let space = usize::from(bytes.first() == Some(&b' '));
    let length = bytes[space..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
    // A single letter after a space is more often a word or a name.
    if length == 0
        || (space == 1 && length == 1 && !matches!(bytes[1], b'B' | b's'))
        || !lists::is_unit(&text[space..space + length])
    {
        return 0;
    }
    let end = space + length;
    if text[end..].starts_with("(s)") {
        return end + 3;
    }
    match bytes.get(end) {
        None
        | Some(
            b' ' | b',' | b'.' | b';' | b':' | b')' | b']' | b'/' | b'\n' | b'\t' | b'"' | b'\'' | b'!' | b'?' | b'}',
        ) => end,
        Some(_) => 0,
    }
}

/// Whether the text begins with a number, a day or a month.
pub(super) fn begins_dated(text: &str) -> bool {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    lists::is_day_or_month(&text[..end])
}

/// A time, a MAC or an IPv6 address: nothing but hexadecimal digits and what stands between them.
pub(super) fn is_timelike(run: &str, make: Make) -> bool {
    let clock = run.bytes().all(|b| {
        b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-' | b'/' | b'+' | b'T' | b'Z' | b'@' | b'_' | b'%')
    });
    let hex = || {
        make.colons() >= 2
            && run
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'%' | b'/'))
    };
    let mac = || make.colons() == 5 && run.len() == 17 && run.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    (make.digits() > 0 && (clock || hex())) || mac()
}

/// The length of a JSON object, or an array of objects, at the start; to the end of the text when it was cut.
pub(super) fn json(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let second = bytes[1..].iter().find(|b| !b.is_ascii_whitespace())?;
    let opens = match bytes[0] {
        b'{' => matches!(second, b'"' | b'\''),
        _ => *second == b'{',
    };
    if !opens {
        return None;
    }
    let (mut depth, mut quote, mut colons) = (0_u32, 0_u8, 0_u32);
    let mut at = 0;
    while at < bytes.len().min(LONGEST_JSON) {
        let byte = bytes[at];
        if quote != 0 {
            match byte {
                b'\\' => at += 1,
                b if b == quote => quote = 0,
                _ => {}
            }
        } else {
            match byte {
                b'"' | b'\'' => quote = byte,
                b'{' | b'[' => depth += 1,
                b':' => colons += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return (colons > 0).then_some(at + 1);
            }
        }
        at += 1;
    }
    (colons > 0).then_some(text.len())
}

/// The text with its runs of digits masked and nothing else.
pub(super) fn mask_digits<'t>(text: &'t str, out: &mut Vec<Piece<'t>>) {
    out.clear();
    let mut rest = text.trim();
    while let Some(first) = rest.bytes().next() {
        let digits = first.is_ascii_digit();
        let end = rest
            .bytes()
            .position(|b| b.is_ascii_digit() != digits)
            .unwrap_or(rest.len());
        let kind = if digits { Kind::Mask(Masked::Number) } else { Kind::Mark };
        out.push(Piece::new(&rest[..end], kind, false));
        rest = &rest[end..];
    }
}
