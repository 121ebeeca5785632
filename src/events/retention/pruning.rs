//! Which events leave, and their leaving (floor 2): the oldest, or those of least worth.
//!
//! What must stay true: a survey and a sweep read the index of groups in short steps with room in between; what leaves is
//! gathered in bounded memory and goes in the order of places, so that few pages are touched twice; no more leave than
//! were asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::{Bounds, Need, Reason};
use super::runner::Doing;
use super::survey::Survey;
use super::value::Tier;
use super::walk::{self, Walk};
use super::{Retention, space};
use crate::clock;
use crate::db::{DbError, Operation};
use crate::events::order::first_place;
use crate::events::remove::{Beside, Terms, in_chunks};

const LOOK: Operation = Operation::scan("retention.look");
const PRUNE: Operation = Operation::write("retention.prune");
/// Places gathered before they leave together: 1 MiB.
const GATHERED: usize = 1 << 17;
/// On a low disk so many leave before the log is shortened.
const A_LITTLE: usize = 256;
/// Between two steps of a walk: as long as the last one took, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preview {
    /// Events there are.
    pub events: u64,
    /// Those that would leave, in the order of [`Reason::ALL`].
    pub removed: [u64; Reason::ALL.len()],
    /// Those of them that would leave by their worth, in the order of [`Tier::ALL`].
    pub by_tier: [u64; Tier::ALL.len()],
}

impl Retention {
    /// What would leave now with other bounds, or with those in force; nothing leaves. Reads the index of all events where
    /// some would leave by their worth.
    ///
    /// # Errors
    /// Those of the database layer.
    pub async fn preview(&self, bounds: Option<Bounds>) -> Result<Preview, DbError> {
        let (bounds, now_ms) = (bounds.unwrap_or(self.bounds), self.believed_ms().await?);
        let mut measure = self.measure().await?;
        let mut preview = Preview {
            events: measure.events,
            ..Preview::default()
        };
        let mut cutoff = i64::MIN;
        if let Some(Need::Before(ms)) = bounds.need(&measure, now_ms) {
            cutoff = first_place(ms);
            let old = self
                .database
                .read(LOOK, move |c| space::count_before(c, cutoff))
                .await?;
            preview.removed[Reason::Age as usize] = old;
            measure.take(old);
            measure.oldest_ms = None;
        }
        while let Some(Need::Events(reason, count)) = bounds.need(&measure, now_ms) {
            preview.removed[reason as usize] += count;
            measure.take(count);
        }
        let by_worth = preview.removed.iter().sum::<u64>() - preview.removed[Reason::Age as usize];
        if by_worth > 0 {
            let survey = self.survey(now_ms, cutoff).await?;
            preview.by_tier = survey.by_tier(survey.choose(by_worth));
        }
        Ok(preview)
    }

    /// Counts the events from a place on by their worth.
    async fn survey(&self, now_ms: i64, from: i64) -> Result<Survey, DbError> {
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

    /// Removes so many events of least worth; how many left.
    pub(super) async fn remove_least(&self, reason: Reason, count: u64, doing: &mut Doing) -> Result<u64, DbError> {
        let mut choice = self.survey(doing.now_ms, i64::MIN).await?.choose(count);
        let (mut walk, mut wanted, mut left) = (Walk::new(doing.now_ms), count, 0);
        let mut places = Vec::new();
        loop {
            // Events that came since the survey may be duplicates now that were the latest then.
            let mut tell = |at: i64, rank: u16| {
                if wanted > 0 && choice.takes(rank) {
                    wanted -= 1;
                    places.push(at);
                }
            };
            let is_over = self.step(&mut walk, &mut tell).await?.is_break() || wanted == 0;
            if is_over || places.len() >= GATHERED {
                places.sort_unstable();
                left += self.remove(reason, &places, doing).await?;
                places.clear();
            }
            if is_over {
                return Ok(left);
            }
        }
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
