//! A file that was isolated (floor 1): its evidence is secured, it is checked, and it is let back when it is sound.
//!
//! What must stay true: the evidence is copied before anything else touches the file; nothing but a good verdict on a
//! file that is on the disk ends an isolation; where only indexes are wrong, an operator may have them made anew ([`super::reindex`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;

use super::durable::bring_to_disk;
use crate::clock;
use crate::db::database::Database;
use crate::db::deadline::{Limits, Scope};
use crate::db::evidence;
use crate::db::verify::{Depth, Verdict, check, limit_of};
use crate::db::wait;

/// A check reads the whole file: the next one comes after so many times as long.
const REST: u32 = 10;

/// What was found in an isolated file that can't be let back by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamageReport {
    /// When it was first found.
    pub found_at: Timestamp,
    /// What isolated the file.
    pub cause: String,
    /// What the check of the whole file says, line by line.
    pub findings: Vec<String>,
    /// The tables that can't be read whole, where it is known.
    pub tables: Vec<String>,
    /// The indexes that are wrong, when nothing else is: [`Database::reindex`] makes them anew.
    pub indexes: Vec<String>,
    /// The folder that holds a copy of the file as it was found, or why there is none.
    pub evidence: Result<String, String>,
}

/// What is known while a file is isolated.
#[derive(Debug, Default)]
pub struct Case {
    /// It was isolated for what happened to the files, not for what was read from them: there is nothing to secure.
    from_outside: bool,
    evidence: Option<Result<String, String>>,
    /// Not before this is it checked again; `None` before the first check.
    next_check: Option<Instant>,
    pub(super) report: Option<DamageReport>,
}

/// Raised when nobody waits any more.
#[derive(Default)]
pub(super) struct WhileAwaited(pub(super) Arc<AtomicBool>);

impl Drop for WhileAwaited {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Database {
    pub(in crate::db) fn is_isolated(&self) -> bool {
        self.breakers()
            .iter()
            .any(|breaker| breaker.status().state == "ISOLATED")
    }

    /// Isolates the file for something that happened to it from outside.
    pub(super) fn isolate_from_outside(&self, cause: &str) {
        {
            let mut case = self.inner.health.case.lock();
            // What was found in the file itself stays the case, whatever happens to it afterwards.
            // The writer may have seen the same a moment before.
            case.from_outside |= case.next_check.is_none() && (!self.is_isolated() || self.cause() == cause);
            // What was found before says nothing of files that have changed since: once they are right they are checked at
            // once, however long that took when the disk was slow.
            case.next_check = case.next_check.map(|at| at.min(clock::now()));
        }
        self.breakers().iter().for_each(|breaker| breaker.isolate(cause));
    }

    /// Isolates the direction that hasn't heard of it: a file is bad for both.
    pub(in crate::db) fn isolate_both_if_either(&self) {
        if self.is_isolated() {
            let cause = self.cause();
            self.breakers().iter().for_each(|breaker| breaker.isolate(&cause));
        }
    }

    /// Looks into an isolated file whose identity is right, and lets it back when it is sound.
    pub(super) async fn verify_isolated(&self) {
        if !self.is_isolated() {
            return;
        }
        let awaited = WhileAwaited::default();
        let (database, cancelled) = (self.clone(), Arc::clone(&awaited.0));
        let examined = wait::blocking(move || database.examine(&cancelled));
        if examined.await.is_err() {
            tracing::error!(database = self.name(), "the check of the isolated file panicked");
        }
    }

    fn examine(&self, cancelled: &Arc<AtomicBool>) {
        self.isolate_both_if_either();
        let (from_outside, is_secured) = {
            let case = self.inner.health.case.lock();
            if case.next_check.is_some_and(|at| clock::now() < at) {
                return;
            }
            (case.from_outside, case.evidence.is_some())
        };
        if !from_outside && !is_secured {
            let secured = self.secure_evidence(cancelled);
            if secured.is_err() && cancelled.load(Ordering::Relaxed) {
                return; // Nothing was checked either: the next probe begins anew.
            }
            if let Err(error) = &secured {
                tracing::error!(database = self.name(), %error, "the evidence of the damage can't be copied");
            }
            self.inner.health.case.lock().evidence = Some(secured);
        }
        let depth = if from_outside { Depth::Pages } else { Depth::Everything };
        let began = clock::now();
        let verdict = check(self.path(), self.owner(), depth, cancelled);
        let ended = clock::now();
        self.inner.health.case.lock().next_check = Some(ended + (ended - began) * REST);
        if !cancelled.load(Ordering::Relaxed) {
            self.conclude(verdict);
        }
    }

    pub(super) fn cause(&self) -> String {
        let isolated = self.breakers().map(|breaker| breaker.status());
        let first = isolated.into_iter().find(|status| status.state == "ISOLATED");
        first.map(|status| status.cause).unwrap_or_default()
    }

    fn secure_evidence(&self, cancelled: &AtomicBool) -> Result<String, String> {
        let found = (self.inner.clock.wall(), &*self.cause());
        let copied = self
            .inner
            .health
            .log
            .with_anchor(|anchor| evidence::collect(anchor, self.path(), self.name(), found, cancelled));
        match copied {
            Ok(folder) => Ok(folder.file_name().unwrap_or_default().to_string_lossy().into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the verdict lets the file back.
    pub(super) fn conclude(&self, verdict: Verdict) -> bool {
        // A check that began before a REINDEX, and ends after it has let the file back, saw what is no more.
        if verdict != Verdict::Sound && !self.is_isolated() {
            return false;
        }
        let mut tables = Vec::new();
        let (indexes, findings) = match verdict {
            Verdict::Sound => match self.bring_to_disk() {
                Ok(()) => {
                    *self.inner.health.case.lock() = Case::default();
                    self.breakers().iter().for_each(|breaker| breaker.verified());
                    return true;
                }
                Err(why) => {
                    let finding = format!("it is sound, but it can't be brought to the disk anew: {why}");
                    (Vec::new(), vec![finding])
                }
            },
            Verdict::Indexes { names, findings } => (names, findings),
            Verdict::Damaged {
                tables: named,
                findings,
            } => {
                tables = named;
                (Vec::new(), findings)
            }
            Verdict::Unchecked(why) => (Vec::new(), vec![format!("it could not be checked: {why}")]),
        };
        let mut case = self.inner.health.case.lock();
        let before = case.report.take();
        let is_news = before.as_ref().is_none_or(|report| report.findings != findings);
        let no_evidence = || Err("the file was isolated for what happened to it from outside".to_owned());
        let report = DamageReport {
            found_at: before.map_or_else(|| self.inner.clock.wall(), |report| report.found_at),
            cause: self.cause(),
            findings,
            tables,
            indexes,
            evidence: case.evidence.clone().unwrap_or_else(no_evidence),
        };
        case.report = Some(report.clone());
        drop(case);
        if is_news {
            self.tell(&report);
        }
        false
    }

    /// Nobody uses what was opened before the trouble any more, and what the log holds is on the disk for certain.
    fn bring_to_disk(&self) -> Result<(), String> {
        // What was opened before saw a file that may have been another one.
        self.inner.health.epoch.fetch_add(1, Ordering::AcqRel);
        if self.inner.health.case.lock().from_outside {
            return Ok(());
        }
        let until = clock::now() + limit_of(self.path());
        let shared = &self.inner.writer.shared;
        let mut writer = shared
            .pool
            .checkout("health.durable", until)
            .map_err(|error| error.to_string())?;
        let brought = {
            let _scope = Scope::enter(Limits {
                deadline: until,
                lock_budget: self.settings().operation.lock_timeout,
                cancelled: None,
            });
            bring_to_disk(&writer, until)
        };
        writer.poison();
        brought
    }

    fn tell(&self, report: &DamageReport) {
        let joined = |names: &[String]| names.join(", ");
        let (findings, tables, indexes) = (
            report.findings.join("; "),
            joined(&report.tables),
            joined(&report.indexes),
        );
        tracing::error!(
            database = self.name(),
            cause = report.cause,
            findings,
            tables,
            indexes,
            "the isolated file can't be let back"
        );
        let Ok(folder) = &report.evidence else { return };
        let folder = evidence::folder_beside(self.path()).join(folder);
        if let Err(error) = evidence::note(&folder, &report.findings) {
            tracing::warn!(%error, "the findings can't be put beside the evidence");
        }
    }
}

#[cfg(test)]
mod tests;
