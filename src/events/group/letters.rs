//! A run of letters, eight at a time (floor 2, pure).
//!
//! What must stay true: it says of a run of ASCII letters what `words::Make` would say; it reads a text in steps of eight
//! bytes and never beyond its end. Called by the scanner, because most words are nothing else.

const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// The letters of ASCII from some place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Letters {
    /// How many there are.
    pub length: usize,
    /// A capital stands after a small letter.
    pub hump: bool,
    /// One of them is no hexadecimal digit.
    pub not_hex: bool,
}

/// The byte in each place, for comparisons of eight at once.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

impl Letters {
    /// The letters that begin at `start`.
    #[inline]
    pub(super) fn from(bytes: &[u8], start: usize) -> Self {
        let (mut at, mut after_small) = (start, 0);
        let (mut humps, mut not_hex) = (0, 0);
        loop {
            let text = read(bytes, at);
            let small = (text | eight(0x20)) & eight(0x7f);
            // The highest bit of each byte that is a letter, in either case.
            let letters = (small + eight(0x80 - b'a')) & !(small + eight(0x7f - b'z')) & !text & HIGHEST;
            let other = !letters & HIGHEST;
            let before_other = (other & other.wrapping_neg()).wrapping_sub(1);
            let (smalls, capitals) = (letters & (text << 2), letters & !(text << 2));
            let smalls = smalls & before_other;
            humps |= capitals & before_other & ((smalls << 8) | after_small);
            not_hex |= letters & before_other & (small + eight(0x7f - b'f'));
            after_small = smalls >> 56;
            at += other.trailing_zeros() as usize / 8;
            if other != 0 {
                return Self {
                    length: at - start,
                    hump: humps != 0,
                    not_hex: not_hex != 0,
                };
            }
        }
    }
}

/// The next eight bytes, the first lowest; zeros behind the end.
#[inline]
fn read(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8).and_then(<[u8]>::first_chunk) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => last(bytes, at),
    }
}

fn last(bytes: &[u8], at: usize) -> u64 {
    let left = bytes.get(at..).unwrap_or_default();
    match bytes.last_chunk() {
        Some(eight) if !left.is_empty() => u64::from_le_bytes(*eight) >> (8 * (8 - left.len())),
        _ => left.iter().rev().fold(0, |text, byte| (text << 8) | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time.
    fn plainly(bytes: &[u8], start: usize) -> Letters {
        let run = &bytes[start..];
        let length = run.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let run = &run[..length];
        Letters {
            length,
            hump: run
                .windows(2)
                .any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase()),
            not_hex: run.iter().any(|byte| !byte.is_ascii_hexdigit()),
        }
    }

    #[test]
    fn eight_at_a_time_say_what_one_at_a_time_says() {
        let mut rng = fastrand::Rng::with_seed(3);
        for round in 0..200_000 {
            let length = rng.usize(..40);
            let any = |rng: &mut fastrand::Rng| match round % 4 {
                0 => rng.u8(..),
                1 => rng.choice(*b"@AZ[`az{fgFG").unwrap_or_default(),
                2 => rng.u8(b'a'..=b'h'),
                _ => rng.alphabetic() as u8,
            };
            let bytes: Vec<u8> = (0..length).map(|_| any(&mut rng)).collect();
            for start in 0..=length {
                assert_eq!(
                    Letters::from(&bytes, start),
                    plainly(&bytes, start),
                    "{bytes:?} from {start}"
                );
            }
        }
    }
}
