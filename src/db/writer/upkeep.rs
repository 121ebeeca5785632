//! What the writer does when nobody wants anything (floor 1): old answers are removed, and the planner's statistics are
//! brought up to date.
//!
//! What must stay true: it is a job like any other, behind the breaker and within a deadline, on the one connection that
//! writes, so that it never competes for the lock. Called by the writer's thread.

use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::job::{Turn, TypedJob};
use super::worker::{Desk, PRUNE_AFTER};
use crate::clock;
use crate::db::active::Caller;
use crate::db::idempotency;
use crate::db::operation::{Effect, Operation};
use crate::db::sequence::Sequence;

const PRUNE: Operation = Operation::write("idempotency.prune").idempotent();
/// The planner's statistics are brought up to date when the writer is idle: an hour after the start, then daily.
pub(super) const OPTIMIZE_FIRST: Duration = Duration::from_secs(3600);
const OPTIMIZE_EVERY: Duration = Duration::from_secs(24 * 3600);
const OPTIMIZE: Operation = Operation::write("upkeep.optimize").idempotent();

impl Desk {
    /// Nobody wants anything for the moment.
    pub(super) fn idle(&mut self) {
        self.keep_number(Sequence::sync);
        if clock::now() >= self.prune_at {
            let now_ms = clock::epoch_ms(self.shared.clock.wall());
            let prune = move |connection: &rusqlite::Connection| idempotency::prune_chunk(connection, now_ms);
            let mut may_be_more = true;
            // Chunk by chunk, as long as nobody waits for it.
            while may_be_more && self.shared.metrics.queued.load(Ordering::Relaxed) == 0 {
                may_be_more = self.run_own(PRUNE, prune) == Some(true);
            }
            if !may_be_more {
                self.prune_at = clock::now() + PRUNE_AFTER;
            }
        }
        if clock::now() >= self.optimize_at {
            self.optimize_at = clock::now() + OPTIMIZE_EVERY;
            let _ = self.run_own(OPTIMIZE, optimize);
        }
    }

    /// Runs a job of the writer's own, like any other: behind the breaker, within a deadline; `None` when it failed.
    fn run_own<T: Send + 'static>(
        &mut self,
        operation: Operation,
        work: impl FnMut(&rusqlite::Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    ) -> Option<T> {
        let (reply, mut answer) = oneshot::channel();
        self.run_batch(
            vec![Box::new(TypedJob {
                operation,
                caller: Caller {
                    site: Location::caller(),
                    origin: None,
                },
                deadline: clock::now() + self.shared.settings.operation.timeout,
                turn: Turn::default(),
                permit: None,
                work,
                carried: None,
                uncertain: false,
                value: None,
                reply,
            })],
            None,
        );
        answer.try_recv().ok()?.ok()
    }
}

/// Lets SQLite look which tables have changed so much that the planner's statistics no longer fit, and count those anew.
fn optimize(connection: &rusqlite::Connection) -> rusqlite::Result<Effect<()>> {
    // It looks at every table, not only at those that this connection has read: the readers are others.
    connection.execute_batch("PRAGMA optimize = 0x10002")?;
    Ok(Effect::Commit(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_made_inside_a_transaction() {
        let file = rusqlite::Connection::open_in_memory().expect("opens");
        file.execute_batch(
            "CREATE TABLE t(a, b); CREATE INDEX i ON t(a);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
             INSERT INTO t SELECT x % 10, x FROM n; BEGIN IMMEDIATE; SAVEPOINT job",
        )
        .expect("made");
        optimize(&file).expect("done");
        file.execute_batch("RELEASE job; COMMIT").expect("kept");
        let known: String = file
            .query_row("SELECT stat FROM sqlite_stat1 WHERE idx = 'i'", [], |row| row.get(0))
            .expect("counted");
        assert!(known.ends_with(" 100"), "{known}");
    }
}
