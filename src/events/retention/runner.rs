//! When it is looked, and what a look does, one step after the other (floor 2).
//!
//! What must stay true: a look ends, and the next one goes on where it had to stop; a failure of the database, which its
//! layer has told, ends the look and nothing else. Dropping the future ends it between two steps.

use std::time::{Duration, Instant};

use super::bounds::{Measure, Need, Reason};
use super::space;
use super::{Retention, Run, State};
use crate::clock;
use crate::db::{DbError, Effect, Operation};
use crate::events::occurrence::NewEvent;
use crate::events::remove::{Pace, newest_received, remove_groups};

/// Between two glances at whether something was stored.
const GLANCE: Duration = Duration::from_secs(1);
/// Longest time between two looks: time alone makes events too old.
const LOOK: Duration = Duration::from_secs(10);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two looks for groups that nobody needs.
const GROUPS_EVERY: Duration = Duration::from_secs(3600);
/// Groups of one write job.
const GROUPS_A_JOB: u32 = 50;
/// Where no age bounds the events, groups without any leave after so long: 90 days.
const GROUP_AGE: Duration = Duration::from_secs(90 * 86_400);
/// Rounds of one look; the next look goes on.
const MOST_ROUNDS: usize = 8;
/// The longest pause between two write jobs.
pub(super) const AIM: Duration = Duration::from_millis(15);

/// What a run has done so far.
pub(super) struct Doing {
    pub(super) run: Run,
    /// The time by which ages are judged, milliseconds since the epoch.
    pub(super) now_ms: i64,
    /// What came in later stays. Not before what came in already, though the clock may have been set back since.
    pub(super) received_until_ms: i64,
    pub(super) pace: Pace,
    began: Instant,
}

impl Doing {
    pub(super) fn note_step(&mut self, took: Duration) {
        self.run.longest_step = self.run.longest_step.max(took);
    }
}

impl Retention {
    /// Keeps the log within its bounds for as long as it is polled.
    pub async fn run(&self) {
        let (mut stored, mut next_look, mut next_groups) = (None, self.clock.now(), self.clock.now());
        loop {
            let now = self.clock.now();
            let known = self.log.ledger().stored;
            if stored != Some(known) || now >= next_look {
                let with_groups = now >= next_groups;
                let looked = self.look(with_groups).await;
                if with_groups && looked.is_ok() {
                    next_groups = now + GROUPS_EVERY;
                }
                let pause = if looked.is_ok() { LOOK } else { PAUSE };
                (stored, next_look) = (looked.is_ok().then_some(known), self.clock.now() + pause);
                self.conclude(looked, pause);
                if stored.is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn conclude(&self, looked: Result<(), DbError>, pause: Duration) {
        let mut state = self.state.lock();
        state.is_running = false;
        state.next_look = self.clock.wall() + pause;
        state.last_error = looked.err().map(|error| error.told().sentence().to_owned());
    }

    /// One look, and all that follows from it.
    pub(super) async fn look(&self, with_groups: bool) -> Result<(), DbError> {
        const NEWEST: Operation = Operation::point("retention.newest");
        let mut measure = self.measure().await?;
        let now_ms = self.believed_ms().await?;
        self.keep_clock().await?;
        self.keep_sample(&measure, now_ms).await?;
        let newest = self.database.read(NEWEST, newest_received).await?;
        let mut doing = self.begin(now_ms, newest);
        for _ in 0..MOST_ROUNDS {
            let Some(need) = self.bounds.need(&measure, doing.now_ms) else {
                break;
            };
            self.state.lock().is_running = true;
            if self.meet(need, &measure, &mut doing).await? == 0 {
                break;
            }
            self.merge(measure.lacking_bytes() > 0, &mut doing).await?;
            measure = self.measure().await?;
        }
        if with_groups {
            self.leave_groups(&mut doing).await?;
        }
        self.give_back(&measure, &mut doing).await?;
        measure = self.measure().await?;
        self.end(&measure, doing);
        Ok(())
    }

    fn begin(&self, now_ms: i64, newest_received_ms: i64) -> Doing {
        let began = self.clock.wall();
        Doing {
            run: Run {
                began,
                took: Duration::ZERO,
                removed: [0; Reason::ALL.len()],
                groups: 0,
                given_back_bytes: 0,
                longest_step: Duration::ZERO,
            },
            now_ms,
            received_until_ms: clock::epoch_ms(began).max(newest_received_ms),
            pace: Pace::default(),
            began: clock::now(),
        }
    }

    /// How many events left.
    async fn meet(&self, need: Need, measure: &Measure, doing: &mut Doing) -> Result<u64, DbError> {
        match need {
            Need::Before(cutoff_ms) => self.remove_before(cutoff_ms, doing).await,
            Need::Events(reason, count) => {
                if reason == Reason::Disk {
                    self.tell_of_low_disk(measure);
                }
                self.remove_least(reason, count, doing).await
            }
        }
    }

    /// Once for each time that the disk becomes low.
    fn tell_of_low_disk(&self, measure: &Measure) {
        if !std::mem::replace(&mut self.state.lock().makes_room, true) {
            let free = measure.space.map_or(0, |space| space.free_bytes);
            self.capture.capture(NewEvent::events_leave_early(free));
        }
    }

    fn end(&self, measure: &Measure, doing: Doing) {
        let mut state = self.state.lock();
        let State { makes_room, unmet, .. } = &mut *state;
        *makes_room &= measure.lacking_bytes() > 0;
        *unmet = self.unmet(measure, doing.now_ms);
        let run = Run {
            took: clock::since(doing.began),
            ..doing.run
        };
        if run.removed.iter().sum::<u64>() + run.groups + run.given_back_bytes > 0 {
            tracing::info!(removed = ?run.removed, groups = run.groups, given_back = run.given_back_bytes,
                took_ms = run.took.as_millis() as u64, "the event log was brought within its bounds");
            state.last_run = Some(run);
        }
    }

    /// Why a bound isn't held though all was done.
    fn unmet(&self, measure: &Measure, now_ms: i64) -> Option<String> {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let budget = self.bounds.budget(measure.space);
        if let Some(budget) = budget.filter(|budget| measure.used_bytes > *budget && measure.events == 0) {
            let (used, budget) = (mib(measure.used_bytes), mib(budget));
            return Some(format!(
                "events.db holds {used} MiB without any event, and {budget} MiB are allowed"
            ));
        }
        if measure.lacking_bytes() == 0 || self.bounds.need(measure, now_ms).is_some() {
            return None;
        }
        let lacking = mib(measure.lacking_bytes());
        Some(if measure.gives_back {
            format!("the disk is low by {lacking} MiB, and events.db has given what it may")
        } else {
            format!("the disk is low by {lacking} MiB, and events.db can't give pages back before a VACUUM")
        })
    }

    /// What is in use on the disk is kept once an hour, and remembered after a start.
    async fn keep_sample(&self, measure: &Measure, now_ms: i64) -> Result<(), DbError> {
        const READ: Operation = Operation::scan("retention.samples");
        const KEEP: Operation = Operation::write("retention.sample").in_background().idempotent();
        if !self.state.lock().has_samples {
            let kept = self.database.read(READ, space::samples).await?;
            let mut state = self.state.lock();
            state.samples.remember(kept);
            state.has_samples = true;
        }
        if let Some(sample) = self.sample(measure, now_ms) {
            let job = move |c: &rusqlite::Connection| space::keep_sample(c, sample).map(Effect::Commit);
            self.database.write(KEEP, job).await?;
        }
        Ok(())
    }

    /// Groups that have no event any more, and that nobody touched, after as long as an event may be kept.
    async fn leave_groups(&self, doing: &mut Doing) -> Result<(), DbError> {
        const FIND: Operation = Operation::scan("retention.old_groups");
        const LEAVE: Operation = Operation::write("retention.groups").in_background().idempotent();
        let age = self.bounds.max_age.unwrap_or(GROUP_AGE);
        let until = doing.now_ms - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let find = move |c: &rusqlite::Connection| space::old_groups(c, until, after, GROUPS_A_JOB);
            let found = self.database.read(FIND, find).await?;
            if found.is_empty() {
                return Ok(());
            }
            let groups: Vec<i64> = found.iter().map(|(_, id)| *id).collect();
            let job = move |c: &rusqlite::Connection| {
                let began = clock::now();
                let (done, gone) = remove_groups(c, &groups, AIM)?;
                let told = (began, done, gone.len());
                Ok(match gone.is_empty() {
                    true => Effect::Rollback(told),
                    false => Effect::Commit(told),
                })
            };
            let (began, done, gone) = self.database.write(LEAVE, job).await?;
            let Some(last) = done.checked_sub(1).and_then(|last| found.get(last)) else {
                return Ok(());
            };
            after = *last;
            doing.note_step(clock::since(began));
            doing.run.groups += gone as u64;
            tokio::time::sleep(clock::since(began).min(AIM)).await;
        }
    }
}
