//! What the text index is asked for a filter (floor 2), with beginnings of words written out as the words that begin so.
//!
//! What must stay true: it finds what the filter's own match finds. A beginning of more words than a bound is left as it is,
//! and takes the longer the more events have one of them.

use rusqlite::Connection;

use super::search::{self, quoted};
use super::{Filter, Sought};
use crate::events::index::{beginnings, tokens};

/// Most words that one beginning is written out as, and all of a filter: each costs a look into every segment of the index.
const MOST_WORDS: (usize, usize) = (64, 128);

/// The match for a filter; `None` where the text index isn't needed.
///
/// # Errors
/// Those of SQLite.
pub fn match_text(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<String>> {
    let mut room = MOST_WORDS.1;
    filter.match_text(|sought| {
        let most = room.min(MOST_WORDS.0);
        let words = written_out(connection, sought, most)?;
        room -= words.as_ref().map_or(0, Vec::len);
        // Where no word begins so, the beginning itself says that best.
        Ok(match words.filter(|words| !words.is_empty()) {
            Some(words) => format!("text : ({})", words.join(" OR ")),
            None => search::match_one(sought),
        })
    })
}

/// The phrases that end in the words that a beginning stands for; `None` when it isn't one, or they are more than `most`.
fn written_out(connection: &Connection, sought: &Sought, most: usize) -> rusqlite::Result<Option<Vec<String>>> {
    if !sought.is_prefix {
        return Ok(None);
    }
    let Some((before, beginning)) = last_word(&sought.text)? else {
        return Ok(None);
    };
    let words = beginnings::words(connection, &beginning, most)?;
    let phrase = |word: String| quoted(&format!("{before}{word}"));
    Ok(words.map(|words| words.into_iter().map(phrase).collect()))
}

/// The last word of a text as the tokenizer leaves it, and what is before it.
fn last_word(text: &str) -> rusqlite::Result<Option<(String, String)>> {
    if text.is_ascii() {
        let is_of_word = |c: char| c.is_ascii_alphanumeric();
        let text = text.trim_end_matches(|c| !is_of_word(c));
        let begins = text.trim_end_matches(is_of_word).len();
        let (before, word) = text.split_at(begins);
        return Ok((!word.is_empty()).then(|| (before.to_owned(), word.to_ascii_lowercase())));
    }
    let mut words = tokens::tokens(text)?;
    let last = words.pop();
    let before = words
        .into_iter()
        .fold(String::new(), |before, word| before + &word + " ");
    Ok(last.map(|last| (before, last)))
}

#[cfg(test)]
mod tests;
