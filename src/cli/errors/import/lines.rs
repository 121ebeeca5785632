//! The lines of a file, with their numbers (floor 8).
//!
//! What must stay true: memory is bounded by the longest line that is allowed, whatever comes.

use std::io::{self, BufRead, Read};

use crate::events::parse::{MAX_EXPORTED_BYTES, without_mark};

/// What was found on a line that isn't blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'l> {
    /// Its text, without its end and blanks around it.
    Line(&'l [u8]),
    /// More than a line may have.
    TooLong,
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// From the beginning of a file.
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The number of the last line that was read, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that isn't blank, and its number; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Found<'_>)>> {
        loop {
            self.line.clear();
            // Two more for a line end.
            let most = MAX_EXPORTED_BYTES as u64 + 2;
            let read = (&mut self.input).take(most).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.ends_with(b"\n") && read as u64 == most {
                self.skip_line()?;
                return Ok(Some((self.number, Found::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let line = self.line.trim_ascii();
        let line = if self.number == 1 { without_mark(line) } else { line };
        let found = if line.len() > MAX_EXPORTED_BYTES {
            Found::TooLong
        } else {
            Found::Line(line)
        };
        Ok(Some((self.number, found)))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (length, is_over) = end.map_or((buffer.len(), buffer.is_empty()), |at| (at + 1, true));
            self.input.consume(length);
            if is_over {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(64, text));
        let mut all = Vec::new();
        while let Some((number, found)) = lines.next().unwrap() {
            all.push((
                number,
                match found {
                    Found::Line(line) => Some(String::from_utf8(line.to_vec()).unwrap()),
                    Found::TooLong => None,
                },
            ));
        }
        all
    }

    #[test]
    fn lines_have_their_numbers_and_blank_ones_count() {
        let line = |number, text: &str| (number, Some(text.to_owned()));
        assert_eq!(all(b"a\n\n b \r\n  \nc"), [line(1, "a"), line(3, "b"), line(5, "c")]);
        assert_eq!(all(b"\xef\xbb\xbfa\n"), [line(1, "a")], "a byte order mark is no text");
        assert!(all(b"").is_empty() && all(b"\n\n").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        let longest = "x".repeat(MAX_EXPORTED_BYTES);
        let text = format!("{longest}\r\n{longest}x\n{longest}{longest}\nlast");
        let lines = all(text.as_bytes());
        let lengths: Vec<_> = lines
            .iter()
            .map(|(n, line)| (*n, line.as_ref().map(String::len)))
            .collect();
        assert_eq!(
            lengths,
            [(1, Some(MAX_EXPORTED_BYTES)), (2, None), (3, None), (4, Some(4))]
        );
        let at_the_end = all(format!("{longest}{longest}").as_bytes());
        assert_eq!(at_the_end, [(1, None)]);
    }
}
