//! Looking at the statements from outside (floor 1): their figures, and the task that explains slow ones.
//!
//! What must stay true: a plan is asked for on a reader connection like any other read, never on the thread of the slow
//! operation; indexes are tried on a blocking thread, off the database.

use std::sync::Arc;

use jiff::Timestamp;

use super::Explained;
use super::advice::advise;
use super::figures::Figures;
use super::plan::Plan;
use super::registry::Statement;
use super::schema::Schema;
use crate::clock;
use crate::db::database::Database;
use crate::db::operation::Operation;
use crate::db::wait;

const EXPLAIN: Operation = Operation::scan("statements.explain");

/// The figures of one statement, or of several together. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatementStatistics {
    /// Its shape: its text without values.
    pub statement: String,
    /// The operations that ran it, eight at most.
    pub operations: Vec<&'static str>,
    /// Runs, those of repeated attempts too.
    pub calls: u64,
    /// Runs and preparations that failed.
    pub errors: u64,
    /// The name of the latest error's code.
    pub last_error: Option<&'static str>,
    /// Rows given, or changed.
    pub rows: u64,
    /// All runs together.
    pub total_ms: f64,
    /// A run on average.
    pub mean_ms: f64,
    /// 95 % of the runs took at most this, to one part in sixteen.
    pub p95_ms: f64,
    /// The longest run.
    pub max_ms: f64,
    /// Steps in scans of whole tables.
    pub full_scan_steps: u64,
    /// Sorts.
    pub sorts: u64,
    /// Rows put into indexes that were built for one run.
    pub automatic_indexes: u64,
    /// Steps of SQLite's virtual machine.
    pub vm_steps: u64,
    /// Runs that took DB_SLOW_QUERY_MS or longer.
    pub slow: u64,
    /// When it last ran.
    pub last_seen: Option<Timestamp>,
    /// Its plan and what would help, once it was slow.
    pub explained: Option<Arc<Explained>>,
}

/// What is kept of one database's statements.
#[derive(Debug, Clone, PartialEq)]
pub struct StatementReport {
    /// Each statement, in no order.
    pub statements: Vec<StatementStatistics>,
    /// Those that made room for others, together.
    pub other: StatementStatistics,
    /// Counted from then on.
    pub since: Timestamp,
}

impl Database {
    /// The statistics of its statements. Looks at memory only.
    pub fn statements(&self) -> StatementReport {
        let kept = self.inner.statements.kept();
        let (now, wall) = (clock::now(), self.inner.clock.wall());
        let shown = |statement: Option<&Statement>, figures: Figures| {
            let [full_scan_steps, sorts, automatic_indexes, vm_steps] = figures.status;
            let ms = |span: std::time::Duration| span.as_secs_f64() * 1000.0;
            StatementStatistics {
                statement: statement.map(|s| s.text.clone()).unwrap_or_default(),
                calls: figures.calls,
                errors: figures.errors,
                last_error: figures
                    .last_error
                    .map(|(_, code)| crate::db::classify::classify(code).name),
                rows: figures.rows,
                total_ms: ms(figures.total),
                mean_ms: ms(figures.mean()),
                p95_ms: ms(figures.p95()),
                max_ms: ms(figures.max),
                full_scan_steps,
                sorts,
                automatic_indexes,
                vm_steps,
                slow: figures.slow,
                last_seen: figures.last_seen.map(|at| wall - now.saturating_duration_since(at)),
                explained: statement.and_then(Statement::explained),
                operations: figures.operations,
            }
        };
        let statements = kept.statements.into_iter();
        StatementReport {
            statements: statements
                .map(|(statement, figures)| shown(Some(&statement), figures))
                .collect(),
            other: shown(None, kept.other),
            since: kept.since,
        }
    }

    /// Forgets the statistics and counts anew.
    pub fn reset_statements(&self) {
        self.inner.statements.reset(self.inner.clock.wall());
    }

    /// Finds the plans of slow statements and what would help, for as long as it is polled.
    pub async fn explain_slow(&self) {
        loop {
            let statement = self.inner.statements.next_slow().await;
            // Without a plan it stays unexplained until it is slow again.
            if let Some(explained) = self.explained(&statement).await {
                statement.explain(explained);
            }
        }
    }

    async fn explained(&self, statement: &Arc<Statement>) -> Option<Explained> {
        let sql = Arc::<str>::from(statement.sample.as_str());
        if sql.is_empty() {
            return None;
        }
        let asked = Arc::clone(&sql);
        let look = move |c: &rusqlite::Connection| Ok((Plan::of(c, &asked)?, Schema::read(c)?));
        let (plan, schema) = self
            .read(EXPLAIN, look)
            .await
            .inspect_err(|error| tracing::debug!(%error, "a slow statement's plan could not be had"))
            .ok()?;
        let scanned = statement.full_scan_steps();
        let advised = move || advise(&schema, &sql, &plan, scanned).map(|advice| Explained { plan: plan.0, advice });
        wait::blocking(advised).await.ok()?.ok()
    }
}
