//! The shape of a statement (floor 1, pure): its text with every value a `?`, so that runs with other values count
//! together.
//!
//! What must stay true: no value survives, literal or bound (a simple JSON path such as `'$.owner.name'` is a name and
//! not a value, and does); the shape of a shape is itself; any text is taken. Blanks and comments fold to one blank,
//! keywords and names stay as written, an `IN` list becomes one `?`, and the rows of `VALUES` its first.

use super::tokens::{Kind, Token, tokens};

/// Words before `(` that aren't a function's name.
const KEYWORDS: [&str; 22] = [
    "ALL",
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "FROM",
    "IN",
    "INTERSECT",
    "JOIN",
    "NOT",
    "ON",
    "OR",
    "OVER",
    "SELECT",
    "SET",
    "THEN",
    "UNION",
    "VALUES",
    "WHERE",
];

/// The shape of a statement.
pub fn normalise(sql: &str) -> String {
    let mut words = values_hidden(&tokens(sql));
    while words.last() == Some(&";") {
        words.pop();
    }
    joined(&rows_folded(&lists_folded(&words)))
}

/// A string that is the path of a JSON member: `$`, then names and array positions.
pub fn is_path(token: &Token<'_>) -> bool {
    let inner = token.text.strip_prefix("'$").and_then(|rest| rest.strip_suffix('\''));
    token.kind == Kind::Text
        && inner.is_some_and(|path| {
            path.starts_with(['.', '[']) && path.chars().all(|c| c.is_ascii_alphanumeric() || "._[]#-".contains(c))
        })
}

fn values_hidden<'s>(tokens: &[Token<'s>]) -> Vec<&'s str> {
    let mut words: Vec<&str> = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        if !token.is_value() || is_path(token) {
            words.push(token.text);
            continue;
        }
        // The sign of a number is part of its value, unless something stands before it to be added to.
        let signed = |at: usize| tokens[at].is("-") || tokens[at].is("+");
        let opens = |at: usize| {
            let before = &tokens[at];
            (before.kind == Kind::Sign && !before.is(")")) || KEYWORDS.iter().any(|word| before.is(word))
        };
        while index >= 1 && words.last().is_some_and(|word| matches!(*word, "-" | "+")) {
            let run = (0..index).rev().take_while(|at| signed(*at)).count();
            if index == run || !opens(index - run - 1) {
                break;
            }
            words.pop();
        }
        words.push("?");
    }
    words
}

/// `IN (?, ?, ?)` → `IN (?)`.
fn lists_folded<'s>(words: &[&'s str]) -> Vec<&'s str> {
    let mut folded = Vec::with_capacity(words.len());
    let mut rest = words;
    while let [word, after @ ..] = rest {
        folded.push(*word);
        rest = after;
        if word.eq_ignore_ascii_case("IN") && after.starts_with(&["(", "?"]) {
            let mut list = &after[2..];
            while let [",", "?", more @ ..] = list {
                list = more;
            }
            if list.first() == Some(&")") {
                folded.extend(["(", "?"]);
                rest = list;
            }
        }
    }
    folded
}

/// `VALUES (…), (…)` → `VALUES (…)`.
fn rows_folded<'s>(words: &[&'s str]) -> Vec<&'s str> {
    let mut folded = Vec::with_capacity(words.len());
    let mut rest = words;
    while let [word, after @ ..] = rest {
        folded.push(*word);
        rest = after;
        if !word.eq_ignore_ascii_case("VALUES") {
            continue;
        }
        let Some(length) = group(after) else { continue };
        folded.extend(&after[..length]);
        rest = &after[length..];
        while let [",", more @ ..] = rest {
            let Some(length) = group(more) else { break };
            rest = &more[length..];
        }
    }
    folded
}

/// How many words the balanced parentheses at the front take.
fn group(words: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, word) in words.iter().enumerate() {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (index > 0).then_some(index + 1);
        }
    }
    None
}

/// The words with the blanks that a person would set.
pub fn joined(words: &[&str]) -> String {
    let mut text = String::new();
    let mut before = "";
    for word in words {
        let called = *word == "("
            && before.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && !KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(before));
        let tight = called || matches!(before, "" | "(" | ".") || matches!(*word, ")" | "," | "." | ";");
        if !tight {
            text.push(' ');
        }
        text.push_str(word);
        before = word;
    }
    text
}

#[cfg(test)]
mod tests;
