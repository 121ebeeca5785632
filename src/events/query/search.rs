//! The language of `q` (floor 2, pure): `is:unresolved path:/pay "connection refused" timeout* -retry`.
//!
//! ```text
//! word        the word              "a phrase"   these words in a row      word*   words that begin so
//! -word       without it            key:value    a filter of the list      is:…    the group's status
//! ```
//! What must stay true: any text is either compiled or refused with what is allowed; none of it reaches the text index
//! outside a quoted string. A word with an unknown key and a colon is refused unless it is quoted, so that a mistyped
//! filter isn't silently looked for as text. A filter only ever narrows what the list's parameters and the parts before
//! ask for: a removal takes `q` too.

use super::filter::{Filter, GroupStatus, Sought};
use crate::events::index::words::Field;
use crate::events::model::{ErrorType, Severity};
use crate::events::wire::group_number;

/// Most parts of one search.
const MOST_PARTS: usize = 32;
/// Fewest characters before a `*`: shorter ones stand for a large part of all words.
const SHORTEST_PREFIX: usize = 2;

/// One part between blanks.
struct Part {
    is_excluded: bool,
    /// Before a colon outside of quotes.
    key: Option<String>,
    value: String,
    is_prefix: bool,
}

/// Adds what the text asks for to a filter.
///
/// # Errors
/// What is wrong with the text, and what is allowed.
pub fn compile(text: &str, filter: &mut Filter) -> Result<(), String> {
    let parts = parts(text)?;
    if parts.is_empty() {
        return Err("must hold something to look for".to_owned());
    }
    if parts.len() > MOST_PARTS {
        return Err(format!("must have at most {MOST_PARTS} parts, has {}", parts.len()));
    }
    parts.into_iter().try_for_each(|part| add(part, filter))
}

fn add(part: Part, filter: &mut Filter) -> Result<(), String> {
    let Some(key) = part.key else {
        return add_text(part, filter);
    };
    let value = part.value;
    if part.is_excluded {
        return Err(format!("-{}: only words and phrases can be left out", shown(&key)));
    }
    match key.as_str() {
        "is" | "status" => {
            let wanted = list(
                &key,
                &value,
                GroupStatus::from_name,
                &GroupStatus::ALL.map(GroupStatus::name),
            )?;
            narrow(&key, &mut filter.statuses, wanted, GroupStatus::includes)?;
        }
        "type" => {
            let wanted = list(&key, &value, ErrorType::from_name, &ErrorType::ALL.map(ErrorType::name))?;
            narrow(&key, &mut filter.types, wanted, |a, b| a == b)?;
        }
        "severity" => {
            let wanted = list(&key, &value, Severity::from_name, &Severity::ALL.map(Severity::name))?;
            narrow(&key, &mut filter.severities, wanted, |a, b| a == b)?;
        }
        "group" => {
            let wanted: Option<Vec<i64>> = value.split(',').map(group_number).collect();
            let wanted = wanted.ok_or("group: must be a group's id such as E-17, or several separated by commas")?;
            if filter.groups.is_empty() {
                filter.groups = wanted;
            } else {
                filter.also_groups.push(wanted);
            }
        }
        _ => match (
            Field::from_name(&key),
            key.strip_prefix("tag.").filter(|name| !name.is_empty()),
        ) {
            (Some(field), _) => {
                let value = field.sought(&value).map_err(|why| format!("{key}: {why}"))?;
                filter.values.push((field, value));
            }
            (None, Some(name)) => filter.tags.push((name.to_owned(), value)),
            (None, None) => return Err(unknown(&key)),
        },
    }
    Ok(())
}

/// Leaves of what was asked for before what is asked for now as well; an empty list before stands for everything, so
/// nothing in common can't be told by one, and is refused.
fn narrow<T: Copy + PartialEq>(
    key: &str,
    named: &mut Vec<T>,
    wanted: Vec<T>,
    includes: fn(T, T) -> bool,
) -> Result<(), String> {
    if named.is_empty() {
        named.clone_from(&wanted);
    }
    let is_in = |list: &[T], one: T| list.iter().any(|whole| includes(*whole, one));
    let mut both: Vec<T> = Vec::new();
    for one in named.iter().chain(&wanted).copied() {
        if is_in(named, one) && is_in(&wanted, one) && !both.contains(&one) {
            both.push(one);
        }
    }
    if both.is_empty() {
        return Err(format!("{key}: is asked for twice with nothing in common"));
    }
    *named = both;
    Ok(())
}

/// The beginning of what was typed: an error names it and doesn't repeat all of it.
fn shown(text: &str) -> String {
    const MOST_CHARS: usize = 40;
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn unknown(key: &str) -> String {
    let fields = Field::ALL.map(Field::name).join(", ");
    format!(
        "{}: is not a known key; allowed are is, type, severity, group, {fields} and tag.NAME; put text with a colon in \
         quotation marks",
        shown(key)
    )
}

fn add_text(part: Part, filter: &mut Filter) -> Result<(), String> {
    let letters = part.value.chars().filter(|c| c.is_alphanumeric()).count();
    if letters == 0 {
        return Err(format!("{:?} has no letter or digit to look for", shown(&part.value)));
    }
    if part.is_prefix && letters < SHORTEST_PREFIX {
        return Err(format!(
            "a beginning of a word must have at least {SHORTEST_PREFIX} letters before the *"
        ));
    }
    filter.text.push(Sought {
        text: part.value,
        is_prefix: part.is_prefix,
        is_excluded: part.is_excluded,
    });
    Ok(())
}

fn list<T>(key: &str, value: &str, find: impl Fn(&str) -> Option<T>, allowed: &[&str]) -> Result<Vec<T>, String> {
    let found: Option<Vec<T>> = value.split(',').map(find).collect();
    found.ok_or_else(|| {
        format!(
            "{key}: must be one or more of {}, separated by commas",
            allowed.join(", ")
        )
    })
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        found.push(part);
        rest = after.trim_start();
    }
    Ok(found)
}

/// The first part of a text that begins with one, and what follows it.
fn part(text: &str) -> Result<(Part, &str), String> {
    let (is_excluded, text) = match text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(char::is_whitespace) => (true, rest),
        _ => (false, text),
    };
    let until = text.find(|c: char| c == '"' || c == ':' || c.is_whitespace());
    let (key, text) = match until.map(|at| (at, &text[at..])) {
        Some((at, colon)) if at > 0 && colon.starts_with(':') => (Some(text[..at].to_owned()), &colon[1..]),
        _ => (None, text),
    };
    let (value, is_quoted, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (value, rest) = quoted.split_once('"').ok_or("a quotation mark is not closed")?;
            (value, true, rest)
        }
        None => {
            let end = text.find(|c: char| c == '"' || c.is_whitespace()).unwrap_or(text.len());
            (&text[..end], false, &text[end..])
        }
    };
    if value.is_empty() && key.is_some() {
        return Err(format!("{}: has no value", shown(&key.unwrap_or_default())));
    }
    let (value, is_prefix, rest) = match key {
        Some(_) => (value, false, rest),
        None if is_quoted => match rest.strip_prefix('*') {
            Some(rest) => (value, true, rest),
            None => (value, false, rest),
        },
        None => match value.strip_suffix('*') {
            Some(value) => (value, true, rest),
            None => (value, false, rest),
        },
    };
    let value = value.to_owned();
    Ok((
        Part {
            is_excluded,
            key,
            value,
            is_prefix,
        },
        rest,
    ))
}

/// One word or phrase as the text index wants it.
pub(in crate::events) fn match_one(sought: &Sought) -> String {
    let star = if sought.is_prefix { " *" } else { "" };
    format!("text : {}{star}", quoted(&sought.text))
}

/// In quotation marks, where nothing has a meaning.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\"").replace('\0', " "))
}

#[cfg(test)]
mod tests;
