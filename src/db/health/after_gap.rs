//! The file after a start that found commits missing (floor 1): checked once while it is in use.
//!
//! What must stay true: nobody waits for the check, and nothing but what it finds isolates the file. Called by the watch.

use std::sync::Arc;

use super::isolation::WhileAwaited;
use crate::db::database::Database;
use crate::db::sequence::MissingCommits;
use crate::db::verify::{Depth, Verdict, check};
use crate::db::wait;

impl Database {
    /// A start that found commits missing may have got pages of different ages: those that the damaged log still gave, and
    /// in the database file newer ones, which a checkpoint had brought there from the part that was dropped. SQLite
    /// notices nothing; so the whole file is checked once while it is in use, and isolated where that finds anything.
    pub(super) async fn check_what_is_left(&self) {
        let missing = self.inner.gap.as_ref().map(|gap| gap.missing);
        if !matches!(missing, Some(MissingCommits::Behind { .. })) {
            return;
        }
        let awaited = WhileAwaited::default();
        let (path, owner, cancelled) = (self.path().to_owned(), self.owner(), Arc::clone(&awaited.0));
        let checked = wait::blocking(move || check(&path, owner, Depth::Everything, &cancelled)).await;
        let findings = match checked {
            Ok(Verdict::Sound) => {
                tracing::info!(
                    database = self.name(),
                    "commits are missing, and what is left was checked: it is sound"
                );
                return;
            }
            Ok(Verdict::Indexes { findings, .. } | Verdict::Damaged { findings, .. }) => findings,
            Ok(Verdict::Unchecked(why)) => {
                tracing::warn!(
                    database = self.name(),
                    why,
                    "commits are missing, and what is left could not be checked"
                );
                return;
            }
            Err(_) => return, // A panic in there is the panic hook's to tell.
        };
        let first = findings.first().map_or("", String::as_str);
        let cause = format!("commits are missing, and what is left holds pages of different ages: {first}");
        self.breakers().iter().for_each(|breaker| breaker.isolate(&cause));
    }
}
