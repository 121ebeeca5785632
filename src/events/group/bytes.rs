//! What each byte is to the scanner (floor 2, pure).
//!
//! What must stay true: a table is only changed together with the version of the rules, because every key depends on it.

/// What a byte is to the scanner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Byte {
    Space,
    Letter,
    Word,
    Mark,
    Quote,
    Wide,
}

/// What each byte is.
pub(super) static BYTES: [Byte; 256] = {
    let mut table = [Byte::Word; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            0..=b' ' | 0x7f => Byte::Space,
            b',' | b';' | b'=' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'|' => Byte::Mark,
            b'"' | b'\'' | b'`' => Byte::Quote,
            b'a'..=b'z' | b'A'..=b'Z' => Byte::Letter,
            // Lead bytes of the blocks that hold Unicode's spaces, quotes and punctuation.
            0xc2 | 0xe2 | 0xe3 | 0xef => Byte::Wide,
            _ => Byte::Word,
        };
        at += 1;
    }
    table
};

/// Whether letters before `end` are a whole word: a sentence's end, or the colon after what it is about, is none of it.
#[inline]
pub(super) fn is_end_of_word(bytes: &[u8], end: usize) -> bool {
    let class = |at: usize| bytes.get(at).map_or(Byte::Space, |byte| BYTES[usize::from(*byte)]);
    match class(end) {
        Byte::Space | Byte::Mark => true,
        // The apostrophe of `don't` needs a look.
        Byte::Quote => bytes[end] != b'\'',
        Byte::Word if matches!(bytes[end], b'.' | b':') => {
            matches!(class(end + 1), Byte::Space | Byte::Mark | Byte::Quote)
        }
        _ => false,
    }
}
