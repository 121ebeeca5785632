//! What a statement compares and sorts by (floor 1, pure): found in its tokens, without a grammar.
//!
//! What must stay true: this only guesses; what it finds is believed after SQLite has planned with it. A term is a column, or
//! `json_extract(column, '$.path')`, or `column ->> '$.path'`.

use super::normalise::is_path;
use super::tokens::{Kind, Token};

/// Where a term stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Compared for equality.
    Equal,
    /// Compared by order.
    Range,
    /// In `ORDER BY` or `GROUP BY`.
    Order,
}

/// A column or an expression on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The table's name or alias before the column, if there is one.
    pub of: Option<String>,
    /// The column.
    pub column: String,
    /// The path and how it is taken: an expression on the column.
    pub path: Option<(Taken, String)>,
    /// Whether it is sorted downwards.
    pub descending: bool,
    /// Where it stands.
    pub place: Place,
}

/// How a path is taken, because an index serves only the form that it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// `json_extract(column, path)`.
    Extract,
    /// `column -> path`.
    Arrow,
    /// `column ->> path`.
    LongArrow,
}

/// The tables a statement names, each with what it is called there.
pub fn tables(tokens: &[Token<'_>]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut in_from = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let opens = ["FROM", "JOIN", "UPDATE", "INTO"].iter().any(|word| token.is(word));
        if opens {
            in_from = true;
        } else if !(in_from && token.is(",")) {
            if ["WHERE", "SELECT", "GROUP", "ORDER", "SET", "LIMIT", "VALUES"]
                .iter()
                .any(|word| token.is(word))
            {
                in_from = false;
            }
            continue;
        }
        let Some(mut name) = tokens.get(at).and_then(Token::name) else {
            continue;
        };
        if tokens.get(at + 1).is_some_and(|dot| dot.is(".")) {
            let Some(own) = tokens.get(at + 2).and_then(Token::name) else {
                continue;
            };
            name = own;
            at += 2;
        }
        at += 1;
        if tokens.get(at).is_some_and(|word| word.is("AS")) {
            at += 1;
        }
        let alias = tokens.get(at).filter(|word| !is_clause(word)).and_then(Token::name);
        found.push((name.clone(), alias.unwrap_or(name)));
    }
    found
}

fn is_clause(token: &Token<'_>) -> bool {
    const CLAUSES: [&str; 19] = [
        "WHERE", "ON", "USING", "JOIN", "LEFT", "INNER", "CROSS", "NATURAL", "RIGHT", "FULL", "OUTER", "GROUP",
        "ORDER", "LIMIT", "UNION", "SET", "VALUES", "INDEXED", "NOT",
    ];
    CLAUSES.iter().any(|word| token.is(word))
}

/// The terms that a statement compares or sorts by.
pub fn terms(tokens: &[Token<'_>]) -> Vec<Term> {
    let mut found = Vec::new();
    let mut ordering = false;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is("BY") {
            ordering = true;
        } else if ["LIMIT", "HAVING", "WHERE", "SELECT", "OVER", "ROWS", "RANGE"]
            .iter()
            .any(|word| token.is(word))
        {
            ordering = false;
        }
        let Some((mut term, length)) = term_at(&tokens[at..]) else {
            at += 1;
            continue;
        };
        let after = tokens.get(at + length);
        let before = at.checked_sub(1).map(|index| &tokens[index]);
        term.place = match (compared(after).or_else(|| compared(before)), ordering) {
            (Some(place), _) => place,
            (None, true) => Place::Order,
            (None, false) => {
                at += length;
                continue;
            }
        };
        term.descending = after.is_some_and(|word| word.is("DESC"));
        if !found.contains(&term) {
            found.push(term);
        }
        at += length;
    }
    found
}

fn compared(token: Option<&Token<'_>>) -> Option<Place> {
    let token = token?;
    let any = |words: &[&str]| words.iter().any(|word| token.is(word));
    if any(&["=", "==", "IN", "IS"]) {
        Some(Place::Equal)
    } else if any(&["<", ">", "<=", ">=", "BETWEEN", "GLOB", "LIKE"]) {
        Some(Place::Range)
    } else {
        None
    }
}

/// The term that begins here, and how many tokens it has.
fn term_at(tokens: &[Token<'_>]) -> Option<(Term, usize)> {
    if tokens.first()?.is("json_extract") && tokens.get(1)?.is("(") {
        let (mut term, length) = column_at(&tokens[2..])?;
        let [comma, path, close, ..] = tokens.get(2 + length..)? else {
            return None;
        };
        if !(comma.is(",") && is_path(path) && close.is(")")) {
            return None;
        }
        term.path = Some((Taken::Extract, path.text.to_owned()));
        return Some((term, length + 5));
    }
    let (mut term, length) = column_at(tokens)?;
    let taken = match tokens.get(length) {
        Some(sign) if sign.is("->") => Taken::Arrow,
        Some(sign) if sign.is("->>") => Taken::LongArrow,
        _ => return Some((term, length)),
    };
    // A bare name after the arrow is a member, too: `body ->> 'owner'`.
    let path = tokens.get(length + 1).filter(|path| path.kind == Kind::Text)?;
    term.path = Some((taken, path.text.to_owned()));
    Some((term, length + 2))
}

fn column_at(tokens: &[Token<'_>]) -> Option<(Term, usize)> {
    let named = |of, column| Term {
        of,
        column,
        path: None,
        descending: false,
        place: Place::Order,
    };
    let first = tokens.first()?.name()?;
    match tokens.get(1) {
        Some(dot) if dot.is(".") => Some((named(Some(first), tokens.get(2)?.name()?), 3)),
        Some(open) if open.is("(") => None,
        _ => Some((named(None, first), 1)),
    }
}
