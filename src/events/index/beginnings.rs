//! The words of the text index that begin in some way (floor 2), so that a search for a beginning is one for whole words.
//!
//! SQLite answers a beginning by putting all places of all such words together before it gives the first one, whereas of a
//! whole word it reads those of a page. So the few words that begin so are looked up, in the leaves of the index's segments
//! that hold them: `fts5vocab` would read through all places of a word to come to the next.
//!
//! What must stay true: all words that begin so are told, or that they can't be; the answer is of one snapshot, and costs a
//! number of pages that doesn't grow with the events. The layout of a leaf is that of SQLite's `fts5_index.c`, which every
//! version writes and reads alike; what doesn't look like it gives no answer. Called by the queries.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

/// Each word of the index begins with this byte there.
const MAIN: u8 = b'0';
/// Most bytes of a word that are looked at: no longer one can be asked for.
const LONGEST: usize = 255;

/// The leaves in which words from `?1` to before `?2` begin, segment by segment, in the order of the words. One statement,
/// so that no merge comes in between. A leaf's key is its segment and its number; `event_text_idx` names each leaf in which
/// a word begins by what its words are not less than. Of leaves that an unfinished merge has taken away only the name is left.
const LEAVES: &str = "
WITH RECURSIVE segments (segment) AS (
  SELECT min(segid) FROM event_text_idx
  UNION ALL
  SELECT (SELECT min(segid) FROM event_text_idx WHERE segid > segment) FROM segments WHERE segment IS NOT NULL
)
SELECT leaf.block
FROM segments CROSS JOIN event_text_idx AS named CROSS JOIN event_text_data AS leaf
WHERE segment IS NOT NULL AND named.segid = segment
  AND named.term >= coalesce(
    (SELECT term FROM event_text_idx WHERE segid = segment AND term <= ?1 ORDER BY term DESC LIMIT 1), x'')
  AND named.term < ?2 AND leaf.id = (segment << 37) + (named.pgno >> 1)";

/// All words that begin so, when they are at most `most`; `None` when they are more, or can't be told. `beginning` is as the
/// tokenizer leaves it; the words are those of both columns, also of removed events.
///
/// # Errors
/// Those of SQLite.
pub fn words(connection: &Connection, beginning: &str, most: usize) -> rusqlite::Result<Option<Vec<String>>> {
    let from = [&[MAIN], beginning.as_bytes()].concat();
    let mut before = from.clone();
    // No byte of a text is the largest.
    let (Some(last), true) = (before.last_mut(), (1..=LONGEST).contains(&beginning.len())) else {
        return Ok(None);
    };
    *last += 1;
    let mut words = BTreeSet::new();
    let mut leaves = connection.prepare_cached(LEAVES)?;
    let mut leaves = leaves.query(params![from, before])?;
    while let Some(leaf) = leaves.next()? {
        let found = leaf.get_ref(0)?.as_blob().ok().and_then(|leaf| on_leaf(leaf, &from));
        let Some(found) = found else { return Ok(None) };
        words.extend(found);
        if words.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(words.into_iter().collect()))
}

/// The words of a leaf that begin so, without their first byte; `None` when it isn't a leaf, or one of them isn't a text.
///
/// A leaf has two bytes that don't matter here, its length without what follows in two bytes, the words with their places,
/// and then how far each word is from the one before. A word is how many bytes it shares with the one before (not the first
/// one), how many follow, and these.
fn on_leaf(leaf: &[u8], from: &[u8]) -> Option<Vec<String>> {
    let length = usize::from(u16::from_be_bytes([*leaf.get(2)?, *leaf.get(3)?]));
    let (body, mut distances) = leaf.split_at_checked(length)?;
    let (mut at, mut word, mut found) = (0, Vec::new(), Vec::new());
    while !distances.is_empty() {
        let is_first = at == 0;
        at += number(&mut distances)?;
        let mut rest = body.get(at..)?;
        let shared = if is_first { 0 } else { number(&mut rest)? };
        let own = number(&mut rest)?;
        word.truncate(shared);
        if word.len() != shared {
            return None;
        }
        word.extend_from_slice(rest.get(..own)?);
        if word.starts_with(from) {
            found.push(String::from_utf8(word.get(1..)?.to_vec()).ok()?);
        } else if word.as_slice() > from {
            break;
        }
    }
    Some(found)
}

/// The number that some bytes begin with, which it takes from them: seven bits a byte, the highest first, as SQLite writes
/// it. `None` where it ends too early, or is longer than any of a leaf.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for _ in 0..3 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number = number << 7 | usize::from(first & 0x7f);
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
