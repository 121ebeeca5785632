//! Statistics of the statements that run on a database (floor 1): how often, how long, how well, and what would help.
//!
//! ```text
//! SQLite's trace → [trace] times a run → [registry] finds the statement by its text, adds to its [figures]
//! slow → told at most once a minute → [explain] asks a reader for the plan, tries indexes on a copy of the schema
//! ```
//! What must stay true: a run costs a fraction of a microsecond and no lock that threads share for long; memory is bounded;
//! no value, bound or literal, is ever shown. Runs count that were repeated, too: each one cost its time.

mod advice;
mod explain;
mod figures;
mod normalise;
mod plan;
mod registry;
mod schema;
mod terms;
mod texts;
mod tokens;
mod trace;

pub use advice::Advice;
pub use explain::{StatementReport, StatementStatistics};
pub use normalise::normalise;
pub(super) use registry::Statements;
#[cfg(test)]
pub(super) use trace::aside;
pub(super) use trace::{Watch, failed, has_written, now_for, watch};

use std::time::Duration;

use super::observe::{Observer, SlowStatement};

/// What was found out about a slow statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The lines of `EXPLAIN QUERY PLAN`.
    pub plan: Vec<String>,
    /// What they say, and what would help.
    pub advice: Advice,
}

/// Tells the observer of the slow runs that a watch saw, each statement at most once a minute. `acquire`: how long its
/// operation waited for its connection.
pub(super) fn report(
    database: &'static str,
    statements: &Statements,
    observer: &dyn Observer,
    watch: &Watch,
    (acquire, lock): (Duration, Duration),
) {
    let seen = watch.take();
    for slow in seen.slow {
        let Some(suppressed) = statements.tell(&slow.statement, &slow.sample) else {
            continue;
        };
        observer.slow_statement(&SlowStatement {
            database,
            operation: slow.operation,
            sql: &slow.statement.text,
            took: slow.sample.took,
            acquire,
            lock: lock.max(seen.begin),
            commit: seen.commit,
            suppressed,
        });
    }
}
