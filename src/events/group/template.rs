//! A message's template (floor 2, pure): what varies from one occurrence to the next becomes `<*>`.
//!
//! What must stay true: one pass over the text, no allocation besides the result; numbers, ids, addresses, paths and
//! quoted text are masked; plain words never are. If only masks would be left, the digits alone are masked.

/// What stands for a varying part.
const MASK: &str = "<*>";
/// Longest quoted text that is taken as one value, in bytes.
const MAX_QUOTED: usize = 200;

/// The template of a message.
pub fn template(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = quoted(rest, &out) {
            push_mask(&mut out);
            rest = &rest[length..];
        } else if is_separator(first) {
            out.push(if first.is_whitespace() && first != '\n' {
                ' '
            } else {
                first
            });
            rest = &rest[first.len_utf8()..];
        } else {
            let length = word_length(rest);
            push_word(&mut out, &rest[..length]);
            rest = &rest[length..];
        }
    }
    if says_something(&out) {
        out
    } else {
        mask_digits(message)
    }
}

/// The length of the word at the start of `rest`; `=` and `;` belong to a URL's or a path's query.
fn word_length(rest: &str) -> usize {
    let word = rest.find(is_separator).unwrap_or(rest.len());
    let located = rest[..word].contains("://") || rest.starts_with('/');
    if !located {
        return word;
    }
    rest.find(|c: char| is_separator(c) && !matches!(c, '=' | ';'))
        .unwrap_or(rest.len())
}

/// What stands between words. Characters that occur inside paths, numbers and names are not among them.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            ',' | ';' | '=' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '`' | '|'
        )
}

/// The length of a quoted text at the start of `rest`, when a word can't end right before it (as in `don't`).
fn quoted(rest: &str, before: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    if before.chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inside = rest[1..].find(quote)?;
    let sound = inside > 0 && inside <= MAX_QUOTED && !rest[1..=inside].contains('\n');
    sound.then_some(inside + 2)
}

/// Neighbouring masks that only punctuation separates are one: lists of different lengths are the same error.
fn push_mask(out: &mut String) {
    let joined = out.trim_end_matches([' ', ',', ':', '-', '/', '.']);
    if joined.ends_with(MASK) {
        out.truncate(joined.len());
    } else {
        out.push_str(MASK);
    }
}

fn push_word(out: &mut String, word: &str) {
    let body = word.trim_end_matches([':', '.', '!', '?']);
    let tail = &word[body.len()..];
    if varies(body) {
        push_mask(out);
    } else if let Some((head, _)) = body
        .rsplit_once(':')
        .filter(|(head, last)| varies(last) && !varies(head))
    {
        // `order:123`, `db-host:5432`: the name stays, the value goes.
        out.push_str(head);
        out.push(':');
        push_mask(out);
    } else {
        out.push_str(body);
    }
    out.push_str(tail);
}

fn varies(word: &str) -> bool {
    if word.is_empty() || (word.contains(':') && !word.contains("://") && word.split(':').any(is_plain)) {
        return false;
    }
    word.bytes().any(|b| b.is_ascii_digit())
        || word.contains("://")
        || is_path(word)
        || is_long_hex(word)
        || is_address(word)
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && !part.bytes().any(|b| b.is_ascii_digit()) && !is_path(part) && !is_long_hex(part)
}

fn is_path(word: &str) -> bool {
    let drive = word.len() > 3 && word.as_bytes()[1] == b':' && word.as_bytes()[2] == b'\\';
    (word.len() > 1 && (word.starts_with('/') || word.starts_with("./") || word.starts_with("~/"))) || drive
}

fn is_long_hex(word: &str) -> bool {
    word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && word.bytes().any(|b| b != b'-')
}

fn is_address(word: &str) -> bool {
    word.split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

fn says_something(template: &str) -> bool {
    template.replace(MASK, "").chars().any(char::is_alphabetic)
}

fn mask_digits(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut in_digits = false;
    for c in message.chars() {
        let digit = c.is_ascii_digit();
        match (digit, in_digits) {
            (true, true) => {}
            (true, false) => out.push_str(MASK),
            (false, _) => out.push(c),
        }
        in_digits = digit;
    }
    out
}
