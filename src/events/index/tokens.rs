//! What the text index's tokenizer makes of a text (floor 2): asked of SQLite itself, in a table of its own in memory.
//!
//! What must stay true: these are the words that the index would have of this text, in their order. It takes a fraction of a
//! millisecond, so who has a text of ASCII alone, where a word is letters and digits in lower case, doesn't need it. Called
//! by the queries.

use rusqlite::Connection;

/// The tokenizer, as the schema names it.
pub const TOKENIZER: &str = "unicode61 remove_diacritics 2";

/// The words of a text.
///
/// # Errors
/// Those of SQLite.
pub fn tokens(text: &str) -> rusqlite::Result<Vec<String>> {
    let own = Connection::open_in_memory()?;
    own.execute_batch(&format!(
        "CREATE VIRTUAL TABLE one USING fts5 (text, content = '', tokenize = '{TOKENIZER}');
         CREATE VIRTUAL TABLE tokens USING fts5vocab (one, instance);"
    ))?;
    own.execute("INSERT INTO one (rowid, text) VALUES (1, ?1)", [text])?;
    own.prepare("SELECT term FROM tokens ORDER BY offset")?
        .query_map([], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema;

    #[test]
    fn the_schema_names_the_same_tokenizer() {
        let sql: String = schema::connection()
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'event_text'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(sql.contains(&format!("tokenize = '{TOKENIZER}'")), "{sql}");
    }

    #[test]
    fn the_words_of_ascii_are_its_letters_and_digits_in_lower_case() {
        let all: String = (0..=127_u8).map(char::from).collect();
        for text in [all.as_str(), "a.B_c-9\u{0}D", "", " - "] {
            let expected: Vec<String> = text
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_ascii_lowercase)
                .collect();
            assert_eq!(tokens(text).unwrap(), expected, "{text:?}");
        }
    }

    /// So that a word of the index, asked for as a word, is that word.
    #[test]
    fn the_words_of_a_word_are_itself_whatever_its_characters() {
        // Beyond the third plane no character is a letter or a digit. In front and behind others, since a mark can't begin
        // a word.
        let all: Vec<String> = (' '..'\u{40000}').map(|c| format!("{c} a{c} {c}b")).collect();
        for some in all.chunks(4096) {
            let once = tokens(&some.join("\n")).unwrap();
            assert_eq!(tokens(&once.join(" ")).unwrap(), once);
        }
    }
}
