//! Admission to the readers (floor 1): a limiter in front of the pool, which has no order of its own.
//!
//! What must stay true: who came first is let in first, save under overload, when the newest is, because those who
//! waited long have callers who will have given up; a waiter that gives up leaves nothing behind; a place is given to a
//! waiter or taken back, never lost; the number of admitted operations never exceeds what the limit was when they
//! were admitted, so that reader threads and connections are bounded by it. Called by the readers.
//!
//! Overload is what CoDel calls it (Nichols and Jacobson, RFC 8289): the longest wait has been above the target for a
//! whole interval. Then nobody waits longer than the target; a refusal is quick. It is over once a place
//! stays free. The target is no shorter than a usual step, as RFC 8289 (4.4) has it for slow links: where a step takes 50
//! ms, a wait of 10 ms is no overload.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::adaptive::Adaptive;
use super::wait;
use crate::clock;
use crate::quantiles::Quantiles;

mod view;

pub use view::{LimiterView, Refused};

/// Waits this long are fine.
const TARGET: Duration = Duration::from_millis(5);
/// Longer ones are overload when they last.
const INTERVAL: Duration = Duration::from_millis(100);

struct Waiter {
    number: u64,
    asked: Instant,
    admit: oneshot::Sender<Admission>,
}

struct State {
    adaptive: Adaptive,
    in_use: u32,
    /// In the order of their arrival, which is that of their numbers.
    waiters: VecDeque<Waiter>,
    arrivals: u64,
    late_since: Option<Instant>,
    overloaded: bool,
    timeouts: u64,
    shed: u64,
}

/// What a limiter and its places share.
pub struct Shared {
    state: Mutex<State>,
    waits: Quantiles,
}

/// The limiter of one database's readers.
pub struct Limiter {
    shared: Arc<Shared>,
}

/// A place among the admitted; dropping it lets the next one in. It owns the limiter, to travel to a thread, or borrows
/// it, which costs less.
pub struct Admission<S: Borrow<Arc<Shared>> = Arc<Shared>> {
    // None once the place was taken back.
    shared: Option<S>,
}

/// Takes the waiter out of the queue when its future ends or is dropped.
struct Leave<'a>(&'a Shared, u64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let Ok(at) = state.waiters.binary_search_by_key(&self.1, |waiter| waiter.number) {
            state.waiters.remove(at);
        }
    }
}

impl State {
    fn target(&self) -> Duration {
        self.adaptive.usual_step().unwrap_or_default().max(TARGET)
    }

    /// Notes whether the longest wait is above the target, and for how long it has been.
    fn judge(&mut self, now: Instant) {
        let longest = self
            .waiters
            .front()
            .map(|waiter| now.saturating_duration_since(waiter.asked));
        if longest.is_none_or(|longest| longest <= self.target()) {
            self.late_since = None;
        } else if now.saturating_duration_since(*self.late_since.get_or_insert(now)) >= INTERVAL {
            self.overloaded = true;
        }
    }

    /// Takes those out who have waited too long under overload; dropping them tells them.
    fn turn_away(&mut self, now: Instant) -> Vec<Waiter> {
        let target = self.target();
        let is_late = |waiter: &Waiter| now.saturating_duration_since(waiter.asked) > target;
        let late = if self.overloaded {
            self.waiters.iter().take_while(|waiter| is_late(waiter)).count()
        } else {
            0
        };
        self.shed += late as u64;
        self.waiters.drain(..late).collect()
    }

    /// The one whose turn it is, with its place taken.
    fn next(&mut self) -> Option<Waiter> {
        if self.in_use >= self.adaptive.limit() {
            return None;
        }
        let next = if self.overloaded {
            self.waiters.pop_back()
        } else {
            self.waiters.pop_front()
        };
        self.in_use += u32::from(next.is_some());
        next
    }
}

impl Shared {
    /// Gives free places to those who wait. Whoever left meanwhile gives its place back at once.
    fn let_in(self: &Arc<Self>) {
        loop {
            let now = clock::now();
            let mut state = self.state.lock();
            if state.waiters.is_empty() {
                return;
            }
            state.judge(now);
            let next = state.next();
            let away = state.turn_away(now);
            drop(state);
            drop(away);
            let Some(next) = next else { return };
            let place = Admission {
                shared: Some(Arc::clone(self)),
            };
            if let Err(mut unwanted) = next.admit.send(place) {
                // Taken back here, because dropping it would come here again, one call deeper for each who left.
                unwanted.shared = None;
                self.state.lock().in_use -= 1;
            }
        }
    }
}

impl Limiter {
    /// Admits `adaptive.limit()` at once.
    pub fn new(adaptive: Adaptive) -> Self {
        let state = State {
            adaptive,
            in_use: 0,
            waiters: VecDeque::new(),
            arrivals: 0,
            late_since: None,
            overloaded: false,
            timeouts: 0,
            shed: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                waits: Quantiles::new(),
            }),
        }
    }

    /// A place that is free at once, or none. Nobody overtakes those who wait.
    pub fn try_admit(&self) -> Option<Admission<&Arc<Shared>>> {
        self.admit_at_once(&self.shared)
    }

    fn admit_at_once<S: Borrow<Arc<Shared>>>(&self, shared: S) -> Option<Admission<S>> {
        let mut state = self.shared.state.lock();
        if state.in_use >= state.adaptive.limit() || !state.waiters.is_empty() {
            return None;
        }
        state.in_use += 1;
        drop(state);
        Some(Admission { shared: Some(shared) })
    }

    /// Waits for a place, at most `patience`, and under overload at most the target.
    ///
    /// # Errors
    /// Why there was none.
    pub async fn admit(&self, patience: Duration) -> Result<Admission, Refused> {
        if let Some(admission) = self.admit_at_once(Arc::clone(&self.shared)) {
            return Ok(admission);
        }
        let asked = clock::now();
        let (number, admitted, limit) = self.queue(asked);
        let leave = Leave(&self.shared, number);
        // Places may have become free between the look and the queue.
        self.shared.let_in();
        let patience = limit.map_or(patience, |limit| limit.min(patience));
        let told = wait::at_most(patience, admitted).await;
        drop(leave);
        self.shared.waits.record(clock::since(asked));
        match told {
            Ok(Ok(admission)) => Ok(admission),
            // Turned away by whoever let others in.
            Ok(Err(_)) => Err(Refused::Shed),
            Err(_) => Err(self.out_of_patience(limit.is_some())),
        }
    }

    /// Joins the queue: the number there, where the place will come, and the longest wait while overloaded.
    fn queue(&self, asked: Instant) -> (u64, oneshot::Receiver<Admission>, Option<Duration>) {
        let (admit, admitted) = oneshot::channel();
        let mut state = self.shared.state.lock();
        state.arrivals += 1;
        let number = state.arrivals;
        state.waiters.push_back(Waiter { number, asked, admit });
        state.judge(asked);
        let limit = state.overloaded.then(|| state.target());
        (number, admitted, limit)
    }

    fn out_of_patience(&self, overloaded: bool) -> Refused {
        let mut state = self.shared.state.lock();
        if overloaded {
            state.shed += 1;
            Refused::Shed
        } else {
            state.timeouts += 1;
            Refused::TimedOut
        }
    }

    /// Changes the limit, its bounds or whether it moves by itself; a larger limit lets waiters in at once.
    pub fn adjust(&self, change: impl FnOnce(&mut Adaptive)) {
        change(&mut self.shared.state.lock().adaptive);
        self.shared.let_in();
    }

    /// A step of an admitted operation ended.
    pub fn step_ended(&self, step: Duration) {
        let mut state = self.shared.state.lock();
        let in_use = state.in_use;
        state.adaptive.ended(step, in_use);
    }

    /// A step of an admitted operation that began at `began` was stopped at its deadline.
    pub fn step_timed_out(&self, began: Instant) {
        self.shared.state.lock().adaptive.timed_out(began, clock::now());
    }

    /// What can be seen now.
    pub fn view(&self) -> LimiterView {
        let state = self.shared.state.lock();
        LimiterView {
            limit: state.adaptive.limit(),
            bounds: state.adaptive.bounds(),
            adaptive: state.adaptive.is_enabled(),
            moved: state.adaptive.moved(),
            usual_step: state.adaptive.usual_step(),
            in_use: state.in_use,
            waiting: state.waiters.len() as u64,
            timeouts: state.timeouts,
            shed: state.shed,
            overloaded: state.overloaded,
        }
    }

    /// Recent waits.
    pub fn waits(&self) -> &Quantiles {
        &self.shared.waits
    }
}

impl<S: Borrow<Arc<Shared>>> Drop for Admission<S> {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        let shared = shared.borrow();
        let mut state = shared.state.lock();
        state.in_use -= 1;
        if state.waiters.is_empty() {
            // A place stays free: whatever the overload was, it is over.
            (state.overloaded, state.late_since) = (false, None);
            return;
        }
        drop(state);
        shared.let_in();
    }
}

#[cfg(test)]
mod tests;
