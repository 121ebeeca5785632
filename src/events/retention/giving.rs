//! What follows a removal (floor 2): the text index clears away what it held, and free pages go back to the disk.
//!
//! What must stay true: each step is a write job of some 15 ms, with a pause after it; a file that can't give pages back is
//! left alone; on a low disk the log is shortened step by step, so that giving takes no more than it gives.

use super::bounds::Measure;
use super::runner::{AIM, Doing};
use super::{Retention, space};
use crate::clock;
use crate::db::{Checkpoint, DbError, Effect, Operation};
use crate::events::index;

/// Pages that one step of the text index's merge writes, and most of such steps in a round.
const MERGE_PAGES: u32 = 48;
const MOST_MERGES: usize = 4000;
/// Free pages are given back from this part of the file on, and from so many bytes.
const FREE_PART: u64 = 10;
const FREE_BYTES: u64 = 1 << 20;
/// So much of the file stays free for what comes: this part.
const SPARE_PART: u64 = 20;
/// Pages of a step of giving back, at first and at most.
const FIRST_PAGES: u32 = 32;
const MOST_PAGES: u32 = 4096;

impl Retention {
    /// Lets the text index clear away what it held of the events that left.
    pub(super) async fn merge(&self, is_low: bool, doing: &mut Doing) -> Result<(), DbError> {
        const MERGE: Operation = Operation::write("retention.merge").in_background().idempotent();
        for _ in 0..MOST_MERGES {
            let job = |c: &rusqlite::Connection| {
                let began = clock::now();
                Ok(match index::rows::merge(c, MERGE_PAGES)? {
                    true => Effect::Commit((began, true)),
                    false => Effect::Rollback((began, false)),
                })
            };
            let (began, merged) = self.database.write(MERGE, job).await?;
            doing.note_step(clock::since(began));
            if !merged {
                break;
            }
            self.shorten_log(is_low).await;
            tokio::time::sleep(clock::since(began).min(AIM)).await;
        }
        Ok(())
    }

    /// Gives free pages back to the disk, where they are many or the disk is low.
    pub(super) async fn give_back(&self, measure: &Measure, doing: &mut Doing) -> Result<(), DbError> {
        const GIVE: Operation = Operation::write("retention.give_back").in_background().idempotent();
        let (file, is_low) = (measure.used_bytes + measure.free_bytes, measure.lacking_bytes() > 0);
        let (least, spare) = if is_low {
            (1, 0)
        } else {
            ((file / FREE_PART).max(FREE_BYTES), file / SPARE_PART)
        };
        if !measure.gives_back || measure.free_bytes < least {
            return Ok(());
        }
        let mut pages = FIRST_PAGES;
        let mut free = measure.free_bytes;
        while free > spare {
            let job = move |c: &rusqlite::Connection| {
                let began = clock::now();
                let left = space::give_back(c, pages)?;
                let size: i64 = c.query_row("PRAGMA page_size", [], |row| row.get(0))?;
                Ok(Effect::Commit((began, left * size.unsigned_abs())))
            };
            let (began, left) = self.database.write(GIVE, job).await?;
            let took = clock::since(began);
            doing.note_step(took);
            // What ingest took or left meanwhile is no gift; no step that gives nothing is repeated.
            let given = free.saturating_sub(left);
            if given == 0 {
                break;
            }
            doing.run.given_back_bytes += given;
            free = left;
            self.shorten_log(is_low).await;
            pages = match took > AIM {
                true => (pages / 2).max(1),
                false if is_low || took > AIM / 2 => pages,
                false => (pages * 2).min(MOST_PAGES),
            };
            tokio::time::sleep(took.min(AIM)).await;
        }
        Ok(())
    }

    /// On a low disk the log must not take what is about to be won: it is brought into the file at once, which only then
    /// becomes smaller. One that can't be shortened now is shortened by its keeper.
    pub(super) async fn shorten_log(&self, is_low: bool) {
        if is_low {
            let database = self.database.clone();
            let _ = tokio::task::spawn_blocking(move || database.checkpoint(Checkpoint::Passive)).await;
        }
    }
}
