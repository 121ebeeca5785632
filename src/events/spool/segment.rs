//! The bytes of one segment (floor 2, pure): a header, then records of length, checksum and payload.
//!
//! What must stay true: a file that ends in the middle of a record (a crash, an unacknowledged append) reads as if that record
//! was never begun; damage anywhere else costs the damaged records alone, because the next sound one is searched for.

/// Magic and version of the format.
pub(super) const HEADER: [u8; 8] = *b"MNSPOOL1";
/// Bytes in front of a payload: length and CRC-32, little-endian.
const PREFIX: usize = 8;
/// Longest payload that is believed; an event's JSON is at most 1 MiB when it comes in.
const MAX_PAYLOAD: usize = 8 << 20;
/// How every payload begins: the first member of an event is its id.
const OPENING: &[u8] = b"{\"id\":\"";

/// Appends one record.
pub(super) fn push_record(out: &mut Vec<u8>, payload: &[u8]) {
    // Longer payloads can't come in; the cast is checked where they are read.
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A sound record, and where the next one begins.
    Record { payload: &'a [u8], next: usize },
    /// Damage, and where to go on.
    Damage { next: usize },
    /// The end, or a record that was never finished.
    End,
}

/// Reads at `at`, which is the end of the header or a `next` of an earlier step.
pub(super) fn step(bytes: &[u8], at: usize) -> Step<'_> {
    let rest = bytes.get(at..).unwrap_or_default();
    // Zeros are what a file system leaves of an append that a power cut stopped.
    if rest.iter().take(PREFIX).all(|b| *b == 0) && rest.iter().all(|b| *b == 0) {
        return Step::End;
    }
    if let Some(payload) = sound_record(rest) {
        return Step::Record {
            payload,
            next: at + PREFIX + payload.len(),
        };
    }
    if let Some(next) = next_sound(bytes, at + 1) {
        return Step::Damage { next };
    }
    if is_complete(rest) {
        Step::Damage { next: bytes.len() }
    } else {
        Step::End
    }
}

fn length(rest: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let length = u32::from_le_bytes(bytes) as usize;
    (rest.len() >= PREFIX && length <= MAX_PAYLOAD).then_some(length)
}

fn is_complete(rest: &[u8]) -> bool {
    length(rest).is_some_and(|length| rest.len() >= PREFIX + length)
}

fn sound_record(rest: &[u8]) -> Option<&[u8]> {
    let payload = rest.get(PREFIX..PREFIX + length(rest)?)?;
    let checksum = u32::from_le_bytes(rest.get(4..PREFIX)?.try_into().ok()?);
    (!payload.is_empty() && crc32fast::hash(payload) == checksum).then_some(payload)
}

/// The first sound record at or after `from`, found by how payloads begin.
fn next_sound(bytes: &[u8], from: usize) -> Option<usize> {
    let first = from + PREFIX;
    let area = bytes.get(first..)?;
    area.windows(OPENING.len())
        .enumerate()
        .filter(|(_, window)| *window == OPENING)
        .map(|(found, _)| first + found - PREFIX)
        .find(|start| sound_record(&bytes[*start..]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(n: usize) -> Vec<u8> {
        format!("{{\"id\":\"{n}\",\"details\":{{\"id\":\"inner\"}}}}").into_bytes()
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, u32) {
        let (mut found, mut damage, mut at) = (Vec::new(), 0, 0);
        loop {
            match step(bytes, at) {
                Step::Record { payload, next } => {
                    found.push(payload.to_vec());
                    at = next;
                }
                Step::Damage { next } => {
                    damage += 1;
                    at = next;
                }
                Step::End => return (found, damage),
            }
        }
    }

    fn three() -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..3).for_each(|n| push_record(&mut bytes, &payload(n)));
        bytes
    }

    #[test]
    fn a_torn_tail_is_the_end_at_every_byte() {
        let bytes = three();
        let size = bytes.len() / 3;
        for cut in 0..=bytes.len() {
            let (found, damage) = read(&bytes[..cut]);
            assert_eq!((found.len(), damage), (cut / size, 0), "cut at {cut}");
            let mut zeros = bytes[..cut].to_vec();
            zeros.resize(cut + 50, 0);
            assert!(read(&zeros).0.len() >= cut / size, "zeros after {cut}");
        }
    }

    #[test]
    fn any_damaged_byte_costs_its_own_record_only() {
        let bytes = three();
        let size = bytes.len() / 3;
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            let (found, damage) = read(&broken);
            let wanted: Vec<_> = (0..3).filter(|n| at / size != *n).map(payload).collect();
            assert_eq!(found, wanted, "byte {at}");
            // A damaged length of the last record looks like a torn tail.
            assert!(damage == 1 || (damage == 0 && at / size == 2), "byte {at}: {damage}");
        }
    }
}
