//! SQL cut into tokens (floor 1, pure): SQLite's lexical rules, no grammar.
//!
//! What must stay true: any text is cut without a panic, and the tokens lie in order inside the text; an unfinished
//! string, name or comment ends with the text. The rules are those of <https://sqlite.org/lang_expr.html#literal_values_constants_>
//! and of SQLite's own tokenizer: `''` inside a string, three ways to quote a name, `/* */` that doesn't nest.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bare name or keyword.
    Word,
    /// `"name"`, `[name]` or a name in back quotes.
    Quoted,
    /// A string in single quotes, or `x'…'`.
    Text,
    /// A number.
    Number,
    /// `?`, `?1`, `:name`, `@name`, `$name`.
    Parameter,
    /// Anything else: an operator or punctuation.
    Sign,
}

/// A token and its text as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'s> {
    /// What it is.
    pub kind: Kind,
    /// The text.
    pub text: &'s str,
}

impl Token<'_> {
    /// Whether it is this keyword or sign, in any case.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text.eq_ignore_ascii_case(text)
    }

    /// Whether it stands for a value: a literal or a parameter.
    pub fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Number | Kind::Parameter)
    }

    /// The name it is, without its quotes.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted => {
                let quote = &self.text[..1];
                let close = if quote == "[" { "]" } else { quote };
                let inner = &self.text[1..];
                let inner = inner.strip_suffix(close).unwrap_or(inner);
                Some(inner.replace(&close.repeat(2), close))
            }
            _ => None,
        }
    }
}

/// The tokens of a text; blanks and comments are left out.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let (kind, end) = next(sql.as_bytes(), at);
        // A byte that isn't ASCII only ever lies inside words and quotes, so this is a boundary; if not, take it all.
        let end = if sql.is_char_boundary(end) { end } else { sql.len() };
        if let Some(kind) = kind {
            let text = &sql[at..end];
            found.push(Token { kind, text });
        }
        at = end;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The kind of the token at `at` (`None`: a blank or a comment) and where it ends, which is past `at`.
fn next(sql: &[u8], at: usize) -> (Option<Kind>, usize) {
    let second = sql.get(at + 1).copied();
    match sql[at] {
        byte if byte.is_ascii_whitespace() || byte == 0x0b => (None, at + 1),
        b'-' if second == Some(b'-') => (None, until(sql, at, |b| b != b'\n')),
        b'/' if second == Some(b'*') => (None, comment_end(sql, at + 2)),
        b'\'' => (Some(Kind::Text), quoted_end(sql, at + 1, b'\'')),
        b'x' | b'X' if second == Some(b'\'') => (Some(Kind::Text), quoted_end(sql, at + 2, b'\'')),
        quote @ (b'"' | b'`') => (Some(Kind::Quoted), quoted_end(sql, at + 1, quote)),
        b'[' => {
            let end = until(sql, at, |b| b != b']');
            (Some(Kind::Quoted), (end + 1).min(sql.len()))
        }
        b'?' => (Some(Kind::Parameter), until(sql, at + 1, |b| b.is_ascii_digit())),
        b':' | b'@' | b'$' | b'#' if second.is_some_and(is_word) => {
            (Some(Kind::Parameter), until(sql, at + 1, is_word))
        }
        byte if byte.is_ascii_digit() => (Some(Kind::Number), number_end(sql, at)),
        b'.' if second.is_some_and(|b| b.is_ascii_digit()) => (Some(Kind::Number), number_end(sql, at)),
        byte if is_word(byte) => (Some(Kind::Word), until(sql, at, is_word)),
        _ => (Some(Kind::Sign), at + sign_length(&sql[at..])),
    }
}

fn until(sql: &[u8], from: usize, inside: impl Fn(u8) -> bool) -> usize {
    let rest = sql.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| inside(**byte)).count()
}

fn comment_end(sql: &[u8], from: usize) -> usize {
    let rest = sql.get(from..).unwrap_or_default();
    rest.windows(2)
        .position(|pair| pair == b"*/")
        .map_or(sql.len(), |at| from + at + 2)
}

/// The end of a quoted text whose quote may stand doubled in it.
fn quoted_end(sql: &[u8], mut at: usize, quote: u8) -> usize {
    while at < sql.len() {
        if sql[at] == quote {
            if sql.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    sql.len()
}

/// `12`, `1_000`, `1.5e-3`, `0xFF`.
fn number_end(sql: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < sql.len() {
        let exponent = matches!(sql[end], b'+' | b'-')
            && matches!(sql[end - 1], b'e' | b'E')
            && !sql[at..end].starts_with(b"0x")
            && end > at;
        if !(is_word(sql[end]) || sql[end] == b'.' || exponent) {
            break;
        }
        end += 1;
    }
    end
}

fn sign_length(rest: &[u8]) -> usize {
    const LONG: [&[u8]; 10] = [b"->>", b"->", b"||", b"<=", b">=", b"<>", b"!=", b"==", b"<<", b">>"];
    LONG.iter()
        .find(|sign| rest.starts_with(sign))
        .map_or(1, |sign| sign.len())
}
