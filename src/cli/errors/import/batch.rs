//! Lines that are handed over together (floor 8, pure): parsed, with their numbers and ids.
//!
//! What must stay true: the id of a line without one follows from its text, its number and the label alone; a batch is small
//! enough to be taken in together or not at all.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::lines::Found;
use crate::events::parse::{self, Exported, MAX_EXPORTED_BYTES};

/// Most events of a batch: as many as are written in one transaction.
const MOST_EVENTS: usize = 256;
/// A batch ends with the line that fills so many bytes.
const ENOUGH_BYTES: usize = 2 << 20;

/// Lines that wait to be handed over.
pub(super) struct Batch<'l> {
    label: &'l str,
    events: Vec<Exported>,
    numbers: Vec<u64>,
    bytes: usize,
    without_id: u64,
}

impl<'l> Batch<'l> {
    /// An empty one.
    pub(super) fn new(label: &'l str) -> Self {
        Self {
            label,
            events: Vec::new(),
            numbers: Vec::new(),
            bytes: 0,
            without_id: 0,
        }
    }

    /// Adds the event of a line; the error says what is wrong with the line.
    pub(super) fn add(&mut self, number: u64, line: &Found<'_>, now: Timestamp) -> Result<(), String> {
        let Found::Line(bytes) = line else {
            return Err(format!("must have at most {MAX_EXPORTED_BYTES} bytes"));
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("must be UTF-8; byte {} of the line is not", error.valid_up_to()))?;
        let mut had_id = true;
        let id = || {
            had_id = false;
            id_of(self.label, number, text)
        };
        let event = parse::exported(text, now, id)
            .map_err(|flaws| told(flaws.iter().map(|flaw| (&*flaw.pointer, &*flaw.detail))))?;
        self.events.push(event);
        self.numbers.push(number);
        self.bytes += bytes.len();
        self.without_id += u64::from(!had_id);
        Ok(())
    }

    /// Whether it wants to be handed over.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MOST_EVENTS || self.bytes >= ENOUGH_BYTES
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number of its first line.
    pub(super) fn first_line(&self) -> Option<u64> {
        self.numbers.first().copied()
    }

    /// The events, in the order of their lines.
    pub(super) fn events(&self) -> &[Exported] {
        &self.events
    }

    /// How many of its lines had no id.
    pub(super) fn without_id(&self) -> u64 {
        self.without_id
    }

    /// Empties it; the numbers of its lines.
    pub(super) fn take_numbers(&mut self) -> Vec<u64> {
        let emptied = std::mem::replace(self, Self::new(self.label));
        emptied.numbers
    }
}

/// What is wrong with a line, by pointers and details.
pub(super) fn told<'f>(flaws: impl Iterator<Item = (&'f str, &'f str)>) -> String {
    let each = flaws.map(|(pointer, detail)| format!("{pointer} {detail}").trim().to_owned());
    each.collect::<Vec<_>>().join("; ")
}

/// The id of a line that names none: version 8, which is anybody's own.
fn id_of(label: &str, number: u64, text: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"mainstay errors import");
    hash.update((label.len() as u64).to_le_bytes());
    hash.update(label);
    hash.update(number.to_le_bytes());
    hash.update(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;

    fn ids(label: &str, lines: &[&str]) -> Vec<Uuid> {
        let mut batch = Batch::new(label);
        for (number, line) in (1..).zip(lines) {
            batch
                .add(number, &Found::Line(line.as_bytes()), from_epoch_ms(0))
                .unwrap();
        }
        batch.events().iter().map(|one| one.event.id).collect()
    }

    #[test]
    fn the_id_of_a_line_follows_from_text_number_and_label() {
        let own = r#"{"id":"00000000-0000-7000-8000-000000000001","message":"m"}"#;
        let first = ids("", &[r#"{"message":"a"}"#, r#"{"message":"a"}"#, own]);
        assert_eq!(first, ids("", &[r#"{"message":"a"}"#, r#"{"message":"a"}"#, own]));
        assert_ne!(first[0], first[1], "equal lines are two events");
        assert_eq!(first[2].to_string(), "00000000-0000-7000-8000-000000000001");
        assert_eq!(first[0].get_version_num(), 8);
        let mended = ids("", &[r#"{"message":"b"}"#, r#"{"message":"a"}"#]);
        assert!(mended[0] != first[0] && mended[1] == first[1]);
        let labelled = ids("other", &[r#"{"message":"a"}"#, r#"{"message":"a"}"#, own]);
        assert!(labelled[0] != first[0] && labelled[2] == first[2]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let mut batch = Batch::new("");
        let mut add = |line: Found<'_>| batch.add(1, &line, from_epoch_ms(0)).unwrap_err();
        assert_eq!(add(Found::Line(br#"{"type":"api"}"#)), "/message is required");
        assert_eq!(
            add(Found::Line(b"[]")),
            "must be a JSON object without repeated members"
        );
        assert_eq!(add(Found::Line(b"ab\xff")), "must be UTF-8; byte 2 of the line is not");
        assert_eq!(add(Found::TooLong), "must have at most 4194304 bytes");
        assert!(batch.is_empty());
    }

    #[test]
    fn it_is_full_by_events_or_by_bytes() {
        let mut batch = Batch::new("");
        let line = format!(r#"{{"message":"m","details":"{}"}}"#, "x".repeat(1 << 20 >> 1));
        (1..=4).for_each(|number| {
            batch
                .add(number, &Found::Line(line.as_bytes()), from_epoch_ms(0))
                .unwrap()
        });
        assert!(batch.is_full() && batch.first_line() == Some(1));
        assert_eq!((batch.without_id(), batch.take_numbers().len()), (4, 4));
        let add = |batch: &mut Batch<'_>, number| {
            batch
                .add(number, &Found::Line(br#"{"message":"m"}"#), from_epoch_ms(0))
                .unwrap();
            batch.is_full()
        };
        let full = (1..=256).map(|number| add(&mut batch, number)).collect::<Vec<_>>();
        assert_eq!((full[254], full[255]), (false, true));
    }
}
