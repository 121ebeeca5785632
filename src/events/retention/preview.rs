//! What would leave with other bounds (floor 2): found as the pruning finds it, and counted as what left is counted.
//!
//! What must stay true: nothing leaves; rows are what the bounds count, and occurrences what the ledger and the receipts
//! count: a sample of a storm is one row that stands for many. Both are told. Handlers call it.

use super::bounds::{Bounds, Need, Reason};
use super::pruning::{LOOK, Sweep};
use super::value::Tier;
use super::{Retention, space};
use crate::db::DbError;
use crate::events::order::first_place;

/// Places whose occurrences one read counts.
const COUNTED_AT_ONCE: usize = 8192;

/// What would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preview {
    /// Rows there are.
    pub events: u64,
    /// Rows that would leave, in the order of [`Reason::ALL`].
    pub removed: [u64; Reason::ALL.len()],
    /// Rows of them that would leave by their worth, in the order of [`Tier::ALL`].
    pub by_tier: [u64; Tier::ALL.len()],
    /// How often what there is occurred.
    pub occurrences: u64,
    /// How often what would leave because of its age occurred, and what would by its worth.
    pub removed_occurrences: [u64; 2],
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
            occurrences: measure.occurrences,
            ..Preview::default()
        };
        let mut cutoff = i64::MIN;
        if let Some(Need::Before(ms)) = bounds.need(&measure, now_ms) {
            cutoff = first_place(ms);
            let (rows, occurrences) = self
                .database
                .read(LOOK, move |c| space::count_before(c, cutoff))
                .await?;
            preview.removed[Reason::Age as usize] = rows;
            preview.removed_occurrences[0] = occurrences;
            measure.take(rows);
            measure.oldest_ms = None;
        }
        while let Some(Need::Events(reason, count)) = bounds.need(&measure, now_ms) {
            preview.removed[reason as usize] += count;
            measure.take(count);
        }
        let by_worth = preview.removed.iter().sum::<u64>() - preview.removed[Reason::Age as usize];
        if by_worth > 0 {
            let survey = self.survey(now_ms, cutoff).await?;
            let choice = survey.choose(by_worth);
            preview.by_tier = survey.by_tier(choice);
            let sweep = Sweep::new(choice, by_worth, now_ms, cutoff);
            preview.removed_occurrences[1] = self.occurrences(sweep, preview.events < preview.occurrences).await?;
        }
        Ok(preview)
    }

    /// How often what a sweep picks occurred; the rows themselves where none stands for more than one.
    async fn occurrences(&self, mut sweep: Sweep, is_thinned: bool) -> Result<u64, DbError> {
        let mut all = 0;
        while let Some(places) = self.sweep(&mut sweep).await? {
            all += places.len() as u64;
            for some in places.chunks(COUNTED_AT_ONCE).take_while(|_| is_thinned) {
                let some = some.to_vec();
                all += self.database.read(LOOK, move |c| space::beyond_rows(c, &some)).await?;
            }
        }
        Ok(all)
    }
}
