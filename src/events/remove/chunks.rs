//! A removal in chunks (floor 2): each a write job of its own, with room for everybody else in between.
//!
//! What must stay true: a chunk, with its commit, takes some 15 ms, whatever the rows and the disk are like: how many rows
//! that is, is measured, never guessed; between two chunks the writer is free for as long as the last one took, so that
//! ingest goes first. Dropping the future, or a kill, leaves whole chunks done and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Removed, Taken, Terms, remove};
use crate::clock;
use crate::db::{Database, DbError, Effect, Operation};

/// What a chunk may take, with its commit. Some chunks take three times as long, when the disk has a checkpoint to sync as well,
/// and who waits for one shall not wait for more than 50 ms.
const AIM: Duration = Duration::from_millis(15);
/// Rows of the first chunk.
const FIRST: usize = 100;
/// Rows of the smallest chunk.
const FEWEST: usize = 1;
/// Most rows of a chunk.
pub const MOST_IN_CHUNK: usize = 2000;
/// The longest pause between chunks, and the shortest.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How many rows a chunk takes: halved when one took too long, doubled when it took less than half of what it may.
#[derive(Debug, Clone)]
pub struct Pace {
    rows: usize,
    longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rows: FIRST,
            longest: Duration::ZERO,
        }
    }
}

impl Pace {
    /// The longest that a chunk took so far, with its commit.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    fn measured(&mut self, rows: usize, took: Duration) {
        self.longest = self.longest.max(took);
        if took > AIM {
            self.rows = (self.rows / 2).max(FEWEST);
        } else if took < AIM / 2 && rows >= self.rows {
            self.rows = (self.rows * 2).min(MOST_IN_CHUNK);
        }
    }
}

/// What else belongs to a chunk, in its transaction: it is told what was taken and the last place of the chunk. `false`
/// undoes the chunk and ends the removal. It may run again for the same chunk.
pub type Beside = Arc<Also>;

type Also = dyn Fn(&Connection, &Taken, i64) -> rusqlite::Result<bool> + Send + Sync;

/// Removes the events of these places, chunk by chunk; what left, and whether it went to its end. After an error some
/// chunks are done, and calling again with the same places does the rest. A chunk whose commit wasn't known to have gone
/// well is repeated and then counts for nothing here: who wants exact numbers keeps them in `beside`.
///
/// # Errors
/// Those of the database layer.
pub async fn in_chunks(
    database: &Database,
    operation: Operation,
    places: &[i64],
    terms: Terms,
    pace: &mut Pace,
    beside: Option<Beside>,
) -> Result<(Removed, bool), DbError> {
    let mut removed = Removed::default();
    let mut from = 0;
    while from < places.len() {
        let chunk: Arc<[i64]> = places[from..].iter().take(pace.rows).copied().collect();
        let (rows, beside) = (chunk.len(), beside.clone());
        let job = move |c: &Connection| one(c, &chunk, terms, beside.as_deref());
        let (began, taken) = database.write(operation.idempotent(), job).await?;
        let took = clock::since(began);
        let Some(taken) = taken else {
            return Ok((removed, false));
        };
        pace.measured(rows, took);
        from += taken.done;
        removed.join(&taken.removed);
        tokio::time::sleep(took.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
    }
    Ok((removed, true))
}

type One = Effect<(Instant, Option<Taken>)>;

/// One chunk, with when it began.
fn one(c: &Connection, chunk: &[i64], terms: Terms, beside: Option<&Also>) -> rusqlite::Result<One> {
    let began = clock::now();
    let taken = remove(c, chunk, terms)?;
    if let (Some(beside), Some(last)) = (beside, taken.done.checked_sub(1).and_then(|last| chunk.get(last)))
        && !beside(c, &taken, *last)?
    {
        return Ok(Effect::Rollback((began, None)));
    }
    Ok(Effect::Commit((began, Some(taken))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_and_shrink_by_what_they_took() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        pace.measured(100, ms(3));
        pace.measured(200, ms(10));
        assert_eq!(pace.rows, 200);
        pace.measured(7, ms(1));
        assert_eq!(pace.rows, 200, "a small rest says nothing");
        pace.measured(200, ms(16));
        assert_eq!(pace.rows, 100);
        (0..20).for_each(|_| pace.measured(pace.rows, ms(500)));
        assert_eq!(pace.rows, FEWEST);
        (0..20).for_each(|_| pace.measured(pace.rows, ms(0)));
        assert_eq!(pace.rows, MOST_IN_CHUNK);
    }
}
