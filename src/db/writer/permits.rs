//! The permits of one attempt at a batch (floor 1).
//!
//! What must stay true: one attempt is one call to the breaker, however many jobs it holds. Called by the writer's thread.

use super::Shared;
use super::repeat::Jobs;
use crate::db::breaker::{Outcome, Permit};
use crate::db::database::refused;
use crate::db::error::DbError;

/// The permits of one attempt: the first carries the verdict, the others only hold half-open leases.
pub(super) struct Permits {
    lead: Permit,
    others: Vec<Permit>,
}

impl Permits {
    /// Those the jobs came in with, as far as they are still valid; otherwise a new one.
    pub(super) fn gather(shared: &Shared, jobs: &mut Jobs, number: &mut Option<u64>) -> Result<Self, DbError> {
        let mut held: Vec<_> = jobs
            .iter_mut()
            .filter_map(|job| job.take_permit())
            .filter(Permit::is_current)
            .collect();
        let lead = match held.pop() {
            Some(permit) => permit,
            None => {
                let number = number.unwrap_or_else(|| shared.breaker.operation_number());
                shared
                    .breaker
                    .acquire(number, None)
                    .map_err(|refusal| refused(shared.database, jobs[0].operation().name, refusal))?
            }
        };
        number.get_or_insert(lead.operation());
        Ok(Self { lead, others: held })
    }

    /// Those of jobs that joined the attempt.
    pub(super) fn join(&mut self, others: Vec<Permit>) {
        self.others.extend(others);
    }

    pub(super) fn settle(self, outcome: Outcome) {
        // However many jobs it held, the attempt was one call. The others' leases go back unsettled.
        drop(self.others);
        self.lead.settle(outcome);
    }
}
