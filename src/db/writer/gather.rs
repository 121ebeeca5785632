//! Those who come while a batch runs (floor 1): they join it, as long as its transaction is open.
//!
//! Callers that were just answered often write again at once. While they are on their way the first of them run already,
//! so that the time in which the others come costs nothing; and where [`Pace`] says so, the transaction waits for the
//! rest of them for a moment before it is committed.
//! What must stay true: who joins is wanted and stays in the order in which it came; the wait ends, also where time stands
//! still; who is alone never waits; a job of the background joins nobody, and is the next one. Called by the writer's thread.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::Shared;
use super::batch::Attempt;
use super::job::Job;
use super::pace::Pace;
use super::permits::Permits;
use super::repeat::answer;
use crate::clock;
use crate::db::breaker::Permit;
use crate::db::error::{DbError, ErrorKind};

/// Looks at the queue in one wait.
const MOST_LOOKS: u32 = 1000;

/// The queue, as one batch sees it.
pub struct Arrivals<'a> {
    shared: &'a Shared,
    queue: &'a Receiver<Box<dyn Job>>,
    /// Where jobs of the background wait for the next batch.
    held: &'a mut VecDeque<Box<dyn Job>>,
    /// How many the transaction still takes.
    room: usize,
    /// How many are worth waiting for, and for how long in all.
    patience: Option<(usize, Duration)>,
    /// When that is over; set by the first wait.
    until: Option<Instant>,
    /// What those who joined were admitted with: leases of a half-open breaker stay theirs until the attempt is settled.
    permits: Vec<Permit>,
    waited: Duration,
    /// Whether anybody came during a wait.
    came: bool,
}

impl<'a> Arrivals<'a> {
    /// For a batch of `taken` jobs so far.
    pub fn new(
        shared: &'a Shared,
        queue: &'a Receiver<Box<dyn Job>>,
        held: &'a mut VecDeque<Box<dyn Job>>,
        pace: &mut Pace,
        taken: usize,
    ) -> Self {
        let limit = pace.limit();
        Self {
            shared,
            queue,
            held,
            room: limit.saturating_sub(taken),
            patience: pace.wait(taken).map(|(wanted, wait)| (wanted - taken, wait)),
            until: None,
            permits: Vec::new(),
            waited: Duration::ZERO,
            came: false,
        }
    }

    /// The next one who joins; `None` when the batch is to be committed.
    pub fn next(&mut self) -> Option<Box<dyn Job>> {
        while self.room > 0 {
            let mut job = self.queue.try_recv().ok().or_else(|| self.wait())?;
            self.shared.metrics.queued.fetch_sub(1, Ordering::Relaxed);
            if job.operation().is_background {
                self.held.push_back(job);
                continue;
            }
            if let Some((wanted, _)) = &mut self.patience {
                *wanted = wanted.saturating_sub(1);
            }
            if !is_wanted(&*job) {
                turn_away(self.shared, job);
                continue;
            }
            self.room -= 1;
            self.permits.extend(job.take_permit());
            self.shared.metrics.in_hand.fetch_add(1, Ordering::Relaxed);
            return Some(job);
        }
        None
    }

    fn wait(&mut self) -> Option<Box<dyn Job>> {
        let (_, patience) = self.patience.filter(|(wanted, _)| *wanted > 0)?;
        let before = clock::now();
        let until = *self.until.get_or_insert(before + patience);
        let job = soon(self.queue, until);
        self.waited += clock::since(before);
        self.came |= job.is_some();
        if job.is_none() {
            self.patience = None;
        }
        job
    }

    /// The attempt is over: what those who joined were admitted with goes to its permits, and what it learned to the pace.
    /// The wait was no work of its jobs.
    pub fn close(self, pace: &mut Pace, permits: &mut Permits, made: &mut Attempt) {
        if self.until.is_some() && !self.came {
            pace.waited_in_vain();
        }
        permits.join(self.permits);
        if let Attempt::Committed(committed) = made {
            committed.work = committed.work.saturating_sub(self.waited);
        }
    }
}

/// A job that comes before then. By yielding: a sleep would take longer than they do, and who finds the thread asleep
/// would have to wake it.
pub fn soon(queue: &Receiver<Box<dyn Job>>, until: Instant) -> Option<Box<dyn Job>> {
    for _ in 0..MOST_LOOKS {
        if let Ok(job) = queue.try_recv() {
            return Some(job);
        }
        if clock::now() >= until {
            return None;
        }
        std::thread::yield_now();
    }
    None
}

/// Whether a job shall run: its caller waits, in time, and hasn't taken it back.
pub fn is_wanted(job: &dyn Job) -> bool {
    !job.is_abandoned() && clock::now() < job.deadline() && job.turn().start()
}

/// Answers a job that isn't wanted.
pub fn turn_away(shared: &Shared, job: Box<dyn Job>) {
    if !job.is_abandoned() {
        answer(job, &DbError::new(shared.database, "", ErrorKind::NotBegun));
    }
}
