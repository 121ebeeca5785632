//! Which events leave, and their leaving (floor 2): the oldest, or those of least worth.
//!
//! What must stay true: a survey and a sweep read the index of groups in short steps with room in between; what leaves is
//! gathered in bounded memory and goes in the order of places, so that few pages are touched twice; no more leave than
//! were asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Reason;
use super::runner::Doing;
use super::survey::{Choice, Survey};
use super::walk::{self, Walk};
use super::{Retention, space};
use crate::clock;
use crate::db::{DbError, Operation};
use crate::events::order::first_place;
use crate::events::remove::{Beside, Terms, in_chunks};

pub(super) const LOOK: Operation = Operation::scan("retention.look");
const PRUNE: Operation = Operation::write("retention.prune").in_background();
/// Places gathered before they leave together: 1 MiB.
const GATHERED: usize = 1 << 17;
/// On a low disk so many leave before the log is shortened.
const A_LITTLE: usize = 256;
/// Between two steps of a walk: as long as the last one took, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Where a walk is that picks what was chosen.
pub(super) struct Sweep {
    choice: Choice,
    wanted: u64,
    walk: Walk,
    /// What lies before this place isn't picked.
    from: i64,
    is_over: bool,
}

impl Sweep {
    /// At the beginning; it picks so many at most, from a place on.
    pub(super) fn new(choice: Choice, wanted: u64, now_ms: i64, from: i64) -> Self {
        Self {
            choice,
            wanted,
            walk: Walk::new(now_ms),
            from,
            is_over: wanted == 0,
        }
    }
}

impl Retention {
    /// Counts the events from a place on by their worth.
    pub(super) async fn survey(&self, now_ms: i64, from: i64) -> Result<Survey, DbError> {
        let (mut survey, mut walk) = (Survey::default(), Walk::new(now_ms));
        let mut tell = |at: i64, rank: u16| {
            if at >= from {
                survey.add(rank);
            }
        };
        while self.step(&mut walk, &mut tell).await?.is_continue() {}
        Ok(survey)
    }

    /// One step of a walk, and a pause.
    async fn step(&self, walk: &mut Walk, tell: &mut impl FnMut(i64, u16)) -> Result<ControlFlow<()>, DbError> {
        let began = clock::now();
        let (after, now_ms) = (walk.position(), walk.now_ms());
        let step = self
            .database
            .read(LOOK, move |c| walk::step(c, after, walk::STEP, now_ms))
            .await?;
        if !walk.take(step, tell) {
            return Ok(ControlFlow::Break(()));
        }
        tokio::time::sleep(clock::since(began).min(LONGEST_PAUSE)).await;
        Ok(ControlFlow::Continue(()))
    }

    /// Removes every event before a time; how many left.
    pub(super) async fn remove_before(&self, cutoff_ms: i64, doing: &mut Doing) -> Result<u64, DbError> {
        let end = first_place(cutoff_ms);
        let (mut after, mut left) = (i64::MIN, 0);
        loop {
            let read = move |c: &rusqlite::Connection| space::before(c, end, after, walk::STEP);
            let places = self.database.read(LOOK, read).await?;
            let Some(last) = places.last() else { return Ok(left) };
            after = *last;
            left += self.remove(Reason::Age, &places, doing).await?;
        }
    }

    /// Removes so many rows of least worth; how many left.
    pub(super) async fn remove_least(&self, reason: Reason, count: u64, doing: &mut Doing) -> Result<u64, DbError> {
        let choice = self.survey(doing.now_ms, i64::MIN).await?.choose(count);
        let mut sweep = Sweep::new(choice, count, doing.now_ms, i64::MIN);
        let mut left = 0;
        while let Some(places) = self.sweep(&mut sweep).await? {
            left += self.remove(reason, &places, doing).await?;
        }
        Ok(left)
    }

    /// The next of the places that were chosen, in their order; `None` at the end.
    pub(super) async fn sweep(&self, sweep: &mut Sweep) -> Result<Option<Vec<i64>>, DbError> {
        let mut places = Vec::new();
        let (choice, wanted, from) = (&mut sweep.choice, &mut sweep.wanted, sweep.from);
        while !sweep.is_over && places.len() < GATHERED {
            // Events that came since the survey may be duplicates now that were the latest then.
            let mut tell = |at: i64, rank: u16| {
                if *wanted > 0 && at >= from && choice.takes(rank) {
                    *wanted -= 1;
                    places.push(at);
                }
            };
            let is_over = self.step(&mut sweep.walk, &mut tell).await?.is_break();
            sweep.is_over = is_over || *wanted == 0;
        }
        places.sort_unstable();
        Ok((!places.is_empty()).then_some(places))
    }

    async fn remove(&self, reason: Reason, places: &[i64], doing: &mut Doing) -> Result<u64, DbError> {
        let beside: Beside = Arc::new(move |c, taken, _| space::note_removed(c, reason, &taken.removed).map(|()| true));
        let terms = Terms {
            received_until_ms: doing.received_until_ms,
            ..Terms::default()
        };
        let is_low = reason == Reason::Disk;
        let part = if is_low { A_LITTLE } else { GATHERED };
        let before = doing.run.removed[reason as usize];
        for part in places.chunks(part) {
            let (beside, pace) = (Some(Arc::clone(&beside)), &mut doing.pace);
            let done = in_chunks(&self.database, PRUNE, part, terms, pace, beside).await;
            doing.note_step(doing.pace.longest());
            doing.run.removed[reason as usize] += done?.0.events;
            self.shorten_log(is_low).await;
        }
        Ok(doing.run.removed[reason as usize] - before)
    }
}
