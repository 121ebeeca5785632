//! Closed segments read back (floor 2, pure): counted at the start, decoded chunk by chunk for replay.
//!
//! What must stay true: reading changes nothing but the mark that something was damaged; the same mark gives the same chunk.

use super::super::model::ErrorEvent;
use super::active::Segment;
use super::segment::{HEADER, Step, step};

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
        }
    }
}

/// What a segment of an earlier process holds, and how many places in it are damaged.
pub(super) fn survey(number: u64, content: &[u8]) -> (Segment, u64) {
    let mut segment = Segment {
        number,
        bytes: content.len() as u64,
        events: 0,
        oldest_ms: None,
        damaged: false,
    };
    let header = content.len().min(HEADER.len());
    // A damaged header costs nothing but itself: records are found by their own checksums.
    let mut corrupt = u64::from(content[..header] != HEADER[..header]);
    let mut at = HEADER.len();
    loop {
        match step(content, at) {
            Step::Record { payload, next } => {
                segment.events += 1;
                segment.oldest_ms = segment.oldest_ms.or_else(|| received_ms(payload));
                at = next;
            }
            Step::Damage { next } => {
                corrupt += 1;
                at = next;
            }
            Step::End => break,
        }
    }
    segment.damaged = corrupt > 0;
    (segment, corrupt)
}

fn received_ms(payload: &[u8]) -> Option<i64> {
    serde_json::from_slice::<ErrorEvent>(payload)
        .ok()
        .map(|event| event.received_ms)
}
