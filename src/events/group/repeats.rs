//! What is said more than once with other values, `id 1, id 2, id 3`, is said once (floor 2, pure).
//!
//! What must stay true: only what holds a mask and a word is shortened, the first repetition first; a message without any is
//! told by a look at its masks alone. Called when a message's pieces are complete.

use super::pieces::Piece;

/// Longest repetition that is looked for, in pieces.
const LONGEST_REPEATED: usize = 8;
/// How far apart a piece and its repetition are at most: a mark may stand between.
pub(super) const FURTHEST_REPEATED: usize = LONGEST_REPEATED + 1;

/// Shortens every repetition; whether there was one.
pub(super) fn shorten_all(pieces: &mut Vec<Piece<'_>>) -> bool {
    if !may_repeat(pieces) {
        return false;
    }
    let length = pieces.len();
    let mut at = 0;
    while at < pieces.len() {
        if !shorten(pieces, at) {
            at += 1;
        }
    }
    pieces.len() < length
}

/// Whether there may be a repetition: its masks come again as far apart as all else in it.
fn may_repeat(pieces: &[Piece<'_>]) -> bool {
    let masks = |from: usize| {
        let near = pieces.iter().enumerate().skip(from);
        near.filter(|(_, piece)| piece.is_mask()).map(|(at, _)| at)
    };
    masks(0).any(|mask| {
        let again = masks(mask + 2).take_while(|again| again - mask <= FURTHEST_REPEATED);
        again.into_iter().any(|again| is_likely(pieces, mask, again - mask))
    })
}

/// Whether what stands around a mask and comes again that far apart is long enough, and says anything.
fn is_likely(pieces: &[Piece<'_>], mask: usize, apart: usize) -> bool {
    let same = |at: &usize| pieces.get(at + apart).is_some_and(|again| pieces[*at].same(again));
    let before = (mask.saturating_sub(LONGEST_REPEATED)..mask)
        .rev()
        .take_while(same)
        .count();
    let after = (mask + 1..=mask + LONGEST_REPEATED).take_while(same).count();
    let (from, to) = (mask - before, mask + after + 1);
    // One mark may stand between the two.
    let enough = to - from >= apart || (to - from + 1 == apart && pieces[to].joins());
    enough && pieces[from..to].iter().any(Piece::is_word)
}

/// Drops the repetition of what begins at `at`, with a mark between or without; whether there was one.
fn shorten(pieces: &mut Vec<Piece<'_>>, at: usize) -> bool {
    let most = LONGEST_REPEATED.min((pieces.len() - at) / 2);
    for apart in 2..=most + 1 {
        if !pieces.get(at + apart).is_some_and(|again| pieces[at].same(again)) {
            continue;
        }
        for length in [apart - 1, apart] {
            if (2..=most).contains(&length) && is_repeated(pieces, at, length, apart) {
                pieces.drain(at + length..at + apart + length);
                return true;
            }
        }
    }
    false
}

/// Whether so many pieces at `at` come again `apart` from there, with a mask and a word among them.
fn is_repeated(pieces: &[Piece<'_>], at: usize, length: usize, apart: usize) -> bool {
    let first = &pieces[at..at + length];
    let Some(second) = pieces.get(at + apart..at + apart + length) else {
        return false;
    };
    (apart == length || pieces[at + length].joins())
        && first.iter().any(Piece::is_mask)
        && first.iter().any(Piece::is_word)
        && first.iter().zip(second).all(|(a, b)| a.same(b))
}

#[cfg(test)]
mod tests {
    use super::super::template::Template;
    use super::*;

    /// Every repetition, without the look at the masks.
    fn shorten_each(pieces: &mut Vec<Piece<'_>>) {
        let mut at = 0;
        while at < pieces.len() {
            if !shorten(pieces, at) {
                at += 1;
            }
        }
    }

    #[test]
    fn a_look_at_the_masks_misses_no_repetition() {
        let parts = [
            "17", "4", "id ", "fox ", "=", ",", ", ", ": ", " - ", " ", " ", "/", "'x' ", "true ", "k=",
        ];
        let mut rng = fastrand::Rng::with_seed(9);
        let mut shortened = 0;
        for _ in 0..100_000 {
            let length = rng.usize(..30);
            let text: String = (0..length).map(|_| parts[rng.usize(..parts.len())]).collect();
            let template = Template::new(&text, Vec::new());
            // Whatever was shortened already may come again, here and there without its first pieces.
            let mut pieces = template.pieces().to_vec();
            let from = rng.usize(..=pieces.len());
            pieces.extend_from_within(from..);
            let (before, mut each) = (pieces.len(), pieces.clone());
            shorten_each(&mut each);
            let was = shorten_all(&mut pieces);
            assert_eq!((was, pieces), (each.len() < before, each), "{text:?}");
            shortened += usize::from(was);
        }
        assert!(shortened > 1000, "{shortened}");
    }
}
