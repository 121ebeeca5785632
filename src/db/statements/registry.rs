//! The statements of one database and their figures (floor 1).
//!
//! What must stay true: at most [`MOST_STATEMENTS`] are kept, the rarest make room, and what is forgotten of them stays
//! in the totals of `other`; a run is counted under locks that threads seldom share: the map is only read, and each
//! statement's figures lie in stripes by thread. Called by the trace, the readers, the writer and the explainer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

use super::Explained;
use super::figures::{Figures, STRIPES, Sample, stripe};
use super::normalise::normalise;
use super::texts::Map;
use crate::clock;

/// Statements kept of one database.
pub const MOST_STATEMENTS: usize = 500;
/// Longest text kept of a statement, in characters.
const MOST_CHARS: usize = 2000;
/// Texts as written that lead to their statement without being normalised again, and the longest of them.
const MOST_TEXTS: usize = 2000;
const LONGEST_TEXT: usize = 8 << 10;
/// Statements that make room at once, because finding the rarest looks at all.
const ROOM: usize = 25;
/// A statement is told of as slow this often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// What is no statement of the application: transactions, settings, and our own looks at plans.
const CONTROL: [&str; 10] = [
    "BEGIN",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "PRAGMA",
    "EXPLAIN",
    "ATTACH",
    "DETACH",
];

/// One statement.
pub struct Statement {
    /// Its shape, at most [`MOST_CHARS`].
    pub text: String,
    /// It as it was first written, for its plan; empty when that is too long. May hold literals: never shown.
    pub sample: String,
    stripes: [Mutex<Option<Box<Figures>>>; STRIPES],
    slow: Mutex<Slowness>,
}

#[derive(Default)]
struct Slowness {
    told: Option<Instant>,
    suppressed: u64,
    full_scan_steps: u64,
    explained: Option<Arc<Explained>>,
}

impl Statement {
    fn new(text: String, sample: &str) -> Self {
        let sample = if sample.len() <= LONGEST_TEXT { sample } else { "" };
        Self {
            text,
            sample: sample.to_owned(),
            stripes: Default::default(),
            slow: Mutex::default(),
        }
    }

    fn figures(&self) -> Figures {
        let mut sum = Figures::default();
        for stripe in &self.stripes {
            if let Some(figures) = stripe.lock().as_deref() {
                sum.merge(figures);
            }
        }
        sum
    }

    fn with_stripe(&self, f: impl FnOnce(&mut Figures)) {
        f(self.stripes[stripe()].lock().get_or_insert_default());
    }

    /// Whether a slow run is told of now, and how many weren't since the last that was.
    fn tell(&self, now: Instant, full_scan_steps: u64) -> Option<u64> {
        let mut slow = self.slow.lock();
        slow.full_scan_steps = full_scan_steps;
        if slow
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY)
        {
            slow.suppressed += 1;
            return None;
        }
        slow.told = Some(now);
        Some(std::mem::take(&mut slow.suppressed))
    }

    /// Steps of full scans in its latest slow run.
    pub fn full_scan_steps(&self) -> u64 {
        self.slow.lock().full_scan_steps
    }

    /// What was found out about it.
    pub fn explained(&self) -> Option<Arc<Explained>> {
        self.slow.lock().explained.clone()
    }

    /// Keeps what was found out about it.
    pub fn explain(&self, explained: Explained) {
        self.slow.lock().explained = Some(Arc::new(explained));
    }
}

#[derive(Default)]
struct Registry {
    /// As written; `None` is a control statement.
    texts: Map<Option<Arc<Statement>>>,
    /// By shape.
    statements: Map<Arc<Statement>>,
    other: Figures,
}

/// The statements of one database.
pub struct Statements {
    /// A run that takes this long is slow.
    pub threshold: Duration,
    registry: RwLock<Registry>,
    since: Mutex<Timestamp>,
    waiting: Mutex<VecDeque<Arc<Statement>>>,
    woken: tokio::sync::Notify,
}

/// What is kept of one database's statements at a moment.
pub struct Kept {
    /// Each with its figures.
    pub statements: Vec<(Arc<Statement>, Figures)>,
    /// Those that made room.
    pub other: Figures,
    /// Counted from then on.
    pub since: Timestamp,
}

impl Statements {
    /// None yet; a run that takes `threshold` is slow.
    pub fn new(threshold: Duration, since: Timestamp) -> Self {
        Self {
            threshold,
            registry: RwLock::default(),
            since: Mutex::new(since),
            waiting: Mutex::default(),
            woken: tokio::sync::Notify::new(),
        }
    }

    /// A run of the statement written `sql` ended; gives the statement when it was slow. `None` also for control.
    pub fn ran(&self, sql: &[u8], sample: &Sample, operation: &'static str) -> Ran {
        self.with(sql, |statement| {
            statement.with_stripe(|figures| figures.add(sample, operation));
            if sample.slow {
                Ran::Slow(Arc::clone(statement))
            } else {
                Ran::Counted
            }
        })
        .unwrap_or(Ran::Control)
    }

    /// The statement written `sql` failed.
    pub fn failed(&self, sql: &[u8], code: i32, operation: &'static str) {
        self.with(sql, |statement| {
            statement.with_stripe(|figures| figures.fail(clock::now(), code, operation));
        });
    }

    /// Hands out the statement while it can't be forgotten, so that nothing counted is lost.
    fn with<R>(&self, sql: &[u8], f: impl FnOnce(&Arc<Statement>) -> R) -> Option<R> {
        {
            let registry = self.registry.read();
            if let Some(known) = registry.texts.get(sql) {
                return known.as_ref().map(f);
            }
        }
        let written = String::from_utf8_lossy(sql);
        let shape = normalise(&written);
        let mut registry = self.registry.write();
        registry.admit(sql, &written, shape).as_ref().map(f)
    }

    /// Whether a slow run is told of, and how many weren't since; asks for its plan when it is.
    pub fn tell(&self, statement: &Arc<Statement>, sample: &Sample) -> Option<u64> {
        let suppressed = statement.tell(sample.at, sample.status[0])?;
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST_STATEMENTS && !waiting.iter().any(|other| Arc::ptr_eq(other, statement)) {
            waiting.push_back(Arc::clone(statement));
            self.woken.notify_one();
        }
        Some(suppressed)
    }

    /// The next statement that wants its plan; waits for one.
    pub async fn next_slow(&self) -> Arc<Statement> {
        loop {
            let next = self.waiting.lock().pop_front();
            match next {
                Some(statement) => return statement,
                None => self.woken.notified().await,
            }
        }
    }

    /// What is kept now.
    pub fn kept(&self) -> Kept {
        let registry = self.registry.read();
        Kept {
            statements: registry
                .statements
                .values()
                .map(|s| (Arc::clone(s), s.figures()))
                .collect(),
            other: registry.other.clone(),
            since: *self.since.lock(),
        }
    }

    /// Forgets everything and counts anew.
    pub fn reset(&self, now: Timestamp) {
        *self.registry.write() = Registry::default();
        *self.since.lock() = now;
        self.waiting.lock().clear();
    }
}

/// What a run was.
pub enum Ran {
    /// None of the application's.
    Control,
    /// Counted.
    Counted,
    /// Counted, and slow.
    Slow(Arc<Statement>),
}

impl Registry {
    fn admit(&mut self, sql: &[u8], written: &str, shape: String) -> Option<Arc<Statement>> {
        let first = shape.split([' ', '(', ';']).next().unwrap_or("");
        let is_control = first.is_empty() || CONTROL.iter().any(|word| word.eq_ignore_ascii_case(first));
        let found = (!is_control).then(|| self.find(shape, written));
        if self.texts.len() >= MOST_TEXTS {
            // Only a shortcut: those in use are back with their next run.
            self.texts.clear();
        }
        if sql.len() <= LONGEST_TEXT {
            self.texts.insert(sql.into(), found.clone());
        }
        found
    }

    fn find(&mut self, shape: String, written: &str) -> Arc<Statement> {
        let shape = match shape.char_indices().nth(MOST_CHARS - 1) {
            Some((at, _)) if shape[at..].chars().nth(1).is_some() => format!("{}…", &shape[..at]),
            _ => shape,
        };
        if let Some(found) = self.statements.get(shape.as_bytes()) {
            return Arc::clone(found);
        }
        if self.statements.len() >= MOST_STATEMENTS {
            self.make_room();
        }
        let made = Arc::new(Statement::new(shape.clone(), written));
        self.statements
            .insert(shape.into_bytes().into_boxed_slice(), Arc::clone(&made));
        made
    }

    fn make_room(&mut self) {
        let mut all: Vec<_> = self.statements.values().map(|s| (s.figures(), Arc::clone(s))).collect();
        all.sort_by_key(|(figures, _)| (figures.calls + figures.errors, figures.last_seen));
        for (figures, statement) in all.into_iter().take(ROOM) {
            self.other.merge(&figures);
            self.statements.remove(statement.text.as_bytes());
            self.texts
                .retain(|_, known| known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &statement)));
        }
    }
}

#[cfg(test)]
mod tests;
