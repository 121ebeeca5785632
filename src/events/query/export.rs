//! Stretches of an export (floor 2): events in the order of lists, written down where they are read.
//!
//! What must stay true: the cursor is the list's, so nothing is skipped or repeated; one read takes a bounded number of
//! rows and bytes, whatever an event holds, and its snapshot ends with it.

use rusqlite::Connection;

use super::{Filter, Meant, Position, walk};
use crate::db::{Database, DbError, Operation};
use crate::events::wire::LoggedEvent;

/// Most events of one read.
const MOST_EVENTS: usize = 500;
/// A read ends with the event that fills so many bytes.
const ENOUGH_BYTES: usize = 256 << 10;

/// What one read gave.
#[derive(Debug)]
pub struct Stretch {
    /// The events as they were written down.
    pub bytes: Vec<u8>,
    /// How many they are; it may be none and still go on.
    pub events: u64,
    /// Where the next one starts; `None` at the end.
    pub next: Option<Position>,
}

/// Reads the next events after a position, whole, and has `write` append each. Groups stand as they do at the moment that
/// comes with the position, milliseconds since the epoch.
///
/// # Errors
/// Those of the database layer.
pub async fn stretch(
    database: &Database,
    filter: Filter,
    from: (Option<Position>, i64),
    write: fn(&LoggedEvent, &mut Vec<u8>),
) -> Result<Stretch, DbError> {
    let read = move |connection: &Connection| written(connection, &filter, from, write);
    database.read(Operation::scan("events.export"), read).await
}

fn written(
    connection: &Connection,
    filter: &Filter,
    from: (Option<Position>, i64),
    write: fn(&LoggedEvent, &mut Vec<u8>),
) -> rusqlite::Result<Stretch> {
    let (mut bytes, mut events) = (Vec::new(), 0);
    let meant = Meant::of(connection, filter)?;
    let next = walk(connection, &meant, from, MOST_EVENTS, |event| {
        write(&event, &mut bytes);
        events += 1;
        bytes.len() < ENOUGH_BYTES && events < MOST_EVENTS
    })?;
    Ok(Stretch {
        bytes,
        events: events as u64,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;
    use crate::events::group::Engine;
    use crate::events::store::{Prepared, insert};
    use crate::events::{parse, schema};

    fn write(event: &LoggedEvent, out: &mut Vec<u8>) {
        out.extend(event.event.message.bytes());
        out.push(b' ');
    }

    #[test]
    fn a_read_holds_no_more_than_a_bound_and_one_event() {
        let connection = schema::connection();
        for number in 0..20 {
            let json = format!(r#"{{"message":"{number:02} {}"}}"#, "x".repeat(8000));
            let event = parse::event(&json, from_epoch_ms(1_750_000_000_000 + number)).unwrap();
            insert(&connection, &[Prepared::new(event)], &mut Engine::default()).unwrap();
        }
        // A large write for each, so that the bytes are the bound.
        let large = |event: &LoggedEvent, out: &mut Vec<u8>| (0..10).for_each(|_| write(event, out));
        let (mut after, mut seen, mut reads) = (None, Vec::new(), 0);
        loop {
            let read = written(&connection, &Filter::default(), (after, 0), large).unwrap();
            assert!(read.bytes.len() < ENOUGH_BYTES + 81_000 && read.events <= 4);
            let text = String::from_utf8(read.bytes).unwrap();
            let numbers = text.split_whitespace().filter(|word| word.len() == 2);
            seen.extend(numbers.step_by(10).map(str::to_owned));
            (after, reads) = (read.next, reads + 1);
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (0..20).rev().map(|number| format!("{number:02}")).collect();
        assert_eq!((seen, reads), (expected, 5));
    }
}
