//! Closed segments read back (floor 2, pure): counted at the start, decoded chunk by chunk for replay.
//!
//! What must stay true: reading changes nothing but the mark that something was damaged; the same mark gives the same chunk.

use super::super::model::ErrorEvent;
use super::active::Segment;
use super::segment::{HEADER, Step, step};
use super::tally::Tally;

/// A place in a closed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The segment's number.
    pub segment: u64,
    offset: usize,
    /// Events that were read before this place.
    decoded: u64,
}

impl Mark {
    pub(super) const fn start_of(segment: u64) -> Self {
        Self {
            segment,
            offset: HEADER.len(),
            decoded: 0,
        }
    }
}

/// Events that were read back.
#[derive(Debug)]
pub struct Chunk {
    /// The events, oldest append first.
    pub events: Vec<ErrorEvent>,
    /// Where the next chunk begins.
    pub next: Mark,
    /// Whether this was the segment's last.
    pub end: bool,
    /// Events that the segment was counted for and that could not be read; told with the last chunk.
    pub lost: u64,
    /// The segment's file is gone: nothing of it can be kept aside.
    pub gone: bool,
}

/// The closed segment that is replayed, kept in memory between chunks.
pub(super) struct Reading {
    pub(super) number: u64,
    pub(super) content: Vec<u8>,
}

impl Reading {
    /// Up to `limit` events from `at` on.
    pub(super) fn chunk(&self, segment: &mut Segment, mut at: Mark, limit: usize) -> Chunk {
        let mut events = Vec::new();
        let mut end = false;
        while events.len() < limit && !end {
            match step(&self.content, at.offset) {
                Step::Record { payload, next } => {
                    match serde_json::from_slice(payload) {
                        Ok(event) => events.push(event),
                        Err(_) => segment.damaged = true,
                    }
                    at.offset = next;
                }
                Step::Damage { next } => {
                    segment.damaged = true;
                    at.offset = next;
                }
                Step::End => end = true,
            }
        }
        at.decoded += events.len() as u64;
        let lost = if end {
            segment.events.saturating_sub(at.decoded)
        } else {
            0
        };
        Chunk {
            events,
            next: at,
            end,
            lost,
            gone: false,
        }
    }
}

/// What a segment of an earlier process holds.
pub(super) struct Survey {
    pub(super) segment: Segment,
    /// Places that are damaged.
    pub(super) corrupt: u64,
    /// Accepted events that are not in it any more; without a tally as many as there are damaged records.
    pub(super) lost: u64,
}

/// Reads all of a segment. What comes after the tally's end was never accepted: a torn or damaged record there is no loss.
pub(super) fn survey(number: u64, content: &[u8], tally: Option<Tally>) -> Survey {
    let mut segment = Segment {
        number,
        bytes: content.len() as u64,
        events: 0,
        oldest_ms: None,
        damaged: false,
    };
    let accepted_end = tally.map_or(u64::MAX, |tally| tally.bytes);
    let header = content.len().min(HEADER.len());
    // A damaged header costs nothing but itself: records are found by their own checksums.
    let mut corrupt = u64::from(content[..header] != HEADER[..header]);
    let (mut accepted, mut damaged) = (0, 0);
    let mut at = HEADER.len();
    loop {
        match step(content, at) {
            Step::Record { payload, next } => {
                segment.events += 1;
                segment.oldest_ms = segment.oldest_ms.or_else(|| received_ms(payload));
                accepted += u64::from((at as u64) < accepted_end);
                at = next;
            }
            Step::Damage { next } => {
                damaged += u64::from((at as u64) < accepted_end);
                at = next;
            }
            Step::End => break,
        }
    }
    let lost = tally.map_or(damaged, |tally| tally.events.saturating_sub(accepted));
    // A cut end is no damaged place to `step`, but it is one to the tally.
    corrupt += damaged.max(u64::from(lost > 0));
    segment.damaged = corrupt > 0;
    Survey { segment, corrupt, lost }
}

fn received_ms(payload: &[u8]) -> Option<i64> {
    serde_json::from_slice::<ErrorEvent>(payload)
        .ok()
        .map(|event| event.received_ms)
}
