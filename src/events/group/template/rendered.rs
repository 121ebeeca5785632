//! A template's bytes, in which words are masked without going through its pieces again (floor 2, pure).
//!
//! What must stay true: a key from here is the one that the template with these words masked has; where a mask could change
//! more than its own place and the values beside it (brackets, quotes, repetitions), there is no answer. Called by the
//! template for its wider templates: a message has dozens of them, and almost all are told here.

use std::cell::RefCell;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use super::{Key, Template};
use crate::events::group::pieces::{Piece, RENDERED_MASK};
use crate::events::group::repeats::FURTHEST_REPEATED;
use crate::events::group::words::{Class, Kind};

/// The bytes of a template's key.
pub(in crate::events::group) struct Rendered<'p, 't> {
    pieces: &'p [Piece<'t>],
    /// Nothing of it changes when it is normalised again.
    settled: bool,
    /// What is between the first opening and the last closing bracket.
    bracketed: Range<usize>,
    places: Places,
    scratch: RefCell<Scratch>,
}

/// The memory of a rendered template, for the next one.
#[derive(Default)]
pub(in crate::events::group) struct Spare(Places, Scratch);

/// Where everything is in the bytes.
#[derive(Default)]
struct Places {
    bytes: Vec<u8>,
    /// Where each piece ends in them.
    ends: Vec<usize>,
    /// Which pieces are masks.
    masks: Vec<usize>,
}

/// What is made for each wider template, in the memory of the one before it.
#[derive(Default)]
struct Scratch {
    runs: Vec<Run>,
    bytes: Vec<u8>,
}

/// Pieces that become one mask: words that are masked, and the values that nothing but punctuation parts from them.
#[derive(Clone, Copy)]
struct Run {
    from: usize,
    to: usize,
}

/// What a wider template is, told by the bytes alone.
pub(super) struct Told {
    pub key: Key,
    /// It has no mask more than the template: its words could no longer be told.
    pub merged: bool,
}

impl<'p, 't> Rendered<'p, 't> {
    pub(super) fn new(template: &'p Template<'t>, spare: Spare) -> Self {
        let pieces = template.pieces.as_slice();
        let Spare(mut places, scratch) = spare;
        places.fill(&template.prefix, pieces);
        Self {
            pieces,
            settled: template.settled || template.masked(&[]).pieces == pieces,
            bracketed: pieces.iter().position(Piece::opens).unwrap_or(0)
                ..pieces.iter().rposition(Piece::closes).unwrap_or(0),
            places,
            scratch: RefCell::new(scratch),
        }
    }

    /// Its memory, for the next one.
    pub(in crate::events::group) fn into_spare(self) -> Spare {
        Spare(self.places, self.scratch.into_inner())
    }

    /// The key with these words masked, in their order; `None` when it has to be found through the pieces.
    pub(super) fn told(&self, places: &[usize]) -> Option<Told> {
        if !self.settled {
            return None;
        }
        let Scratch { runs, bytes } = &mut *self.scratch.borrow_mut();
        let absorbed = self.find_runs(places, runs);
        let inside: usize = runs.iter().map(|run| run.to - run.from).sum();
        let reach = FURTHEST_REPEATED + inside;
        for (index, run) in runs.iter().enumerate() {
            if self.closes(*run, places) || self.may_repeat(*run, reach) {
                return None;
            }
            for later in runs[index + 1..]
                .iter()
                .take_while(|later| later.from - run.to <= reach)
            {
                if self.are_like(*run, *later) {
                    return None;
                }
            }
        }
        bytes.clear();
        let mut from = 0;
        for run in runs.iter() {
            bytes.extend_from_slice(&self.places.bytes[from..self.begin(run.from)]);
            bytes.push(RENDERED_MASK);
            from = self.places.ends[run.to];
        }
        bytes.extend_from_slice(&self.places.bytes[from..]);
        Some(Told {
            key: xxh3_128(bytes),
            merged: runs.len() <= absorbed,
        })
    }

    /// Where a piece begins in the bytes, behind its space.
    fn begin(&self, at: usize) -> usize {
        let piece = &self.pieces[at];
        self.places.ends[at] - if piece.is_mask() { 1 } else { piece.text.len() }
    }

    /// The runs that these places become, and how many of the masks that are there are parts of them.
    fn find_runs(&self, places: &[usize], runs: &mut Vec<Run>) -> usize {
        runs.clear();
        let mut absorbed = 0;
        for &place in places {
            let mut run = Run { from: place, to: place };
            let before = self.pieces[..place].iter().rposition(|piece| !piece.joins());
            match (before, runs.last()) {
                (Some(before), Some(last)) if before <= last.to => {
                    run.from = last.from;
                    runs.pop();
                }
                (Some(before), _) if self.pieces[before].is_mask() => {
                    run.from = before;
                    absorbed += 1;
                }
                _ => {}
            }
            let after = self.pieces[place + 1..].iter().position(|piece| !piece.joins());
            if let Some(after) = after.map(|after| place + 1 + after)
                && self.pieces[after].is_mask()
            {
                run.to = after;
                absorbed += 1;
            }
            runs.push(run);
        }
        absorbed
    }

    /// Whether the run would be all that is in quotes, or in brackets beside other values.
    fn closes(&self, run: Run, places: &[usize]) -> bool {
        let after = self.pieces.get(run.to + 1);
        let before = run.from.checked_sub(1).map(|before| &self.pieces[before]);
        if let (Some(before), Some(after)) = (before, after)
            && after.is_quote()
            && before.is_like_mark(after)
        {
            return true;
        }
        if !self.bracketed.contains(&run.from) {
            return false;
        }
        // One piece where there were several may make a list of what was none.
        if run.from < run.to {
            return true;
        }
        let says = |(at, piece): &(usize, &Piece<'_>)| {
            let value = piece.is_mask() || piece.joins() || piece.kind == Kind::Word(Class::Quoted);
            !value && !places.contains(at)
        };
        let mut left = self.pieces.iter().enumerate().take(run.from).rev();
        if !left.find(says).is_some_and(|(_, piece)| piece.opens()) {
            return false;
        }
        let mut right = self.pieces.iter().enumerate().skip(run.to + 1);
        right.find(says).is_some_and(|(_, piece)| piece.closes())
    }

    /// Whether the run, once it is a mask, may be a part of a repetition together with a mask that is there.
    fn may_repeat(&self, run: Run, reach: usize) -> bool {
        let near = |at: usize| at + reach >= run.from && at <= run.to + reach && !(run.from..=run.to).contains(&at);
        let mut masks = self.places.masks.iter().filter(|at| near(**at));
        masks.any(|&at| self.are_like(run, Run { from: at, to: at }))
    }

    /// Whether the same stands beside both.
    fn are_like(&self, one: Run, other: Run) -> bool {
        let same = |one: Option<usize>, other: Option<usize>| match (one, other) {
            (Some(one), Some(other)) => match (self.pieces.get(one), self.pieces.get(other)) {
                (Some(one), Some(other)) => one.same(other),
                _ => false,
            },
            _ => false,
        };
        same(one.from.checked_sub(1), other.from.checked_sub(1)) || same(Some(one.to + 1), Some(other.to + 1))
    }
}

impl Places {
    fn fill(&mut self, prefix: &[u8], pieces: &[Piece<'_>]) {
        self.bytes.clear();
        self.ends.clear();
        self.masks.clear();
        self.bytes.extend_from_slice(prefix);
        for (index, piece) in pieces.iter().enumerate() {
            if piece.spaced && index > 0 {
                self.bytes.push(b' ');
            }
            if piece.is_mask() {
                self.bytes.push(RENDERED_MASK);
                self.masks.push(index);
            } else {
                self.bytes.extend_from_slice(piece.text.as_bytes());
            }
            self.ends.push(self.bytes.len());
        }
    }
}
