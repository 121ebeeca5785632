//! The breaker against a plain model: random sequences of everything that can happen to it, compared after each step.
//!
//! The model is written from the specification alone: a list of settled calls, a list of leases, no counters, no atomics.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock::{ManualClock, from_epoch_ms};
use mainstay::config::BreakerSettings;
use mainstay::db::Unobserved;
use mainstay::db::breaker::{Breaker, Cause, Outcome, Permit};
use mainstay::db::classify::Told;
use proptest::prelude::*;

/// The operations that may be slow.
const NAMES: [&str; 2] = ["data.list", "data.search"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Acquire {
        operation: u64,
    },
    Settle {
        which: usize,
        how: How,
    },
    /// The whole of a call at once, so that rows and rates come about often.
    Call {
        operation: u64,
        how: How,
    },
    Drop {
        which: usize,
    },
    Advance {
        ms: u64,
    },
    /// Just to the time that the refusal told.
    AdvanceToRetry,
    Force {
        seconds: Option<u64>,
    },
    Disable {
        seconds: Option<u64>,
    },
    Reset,
    Isolate,
    Verified,
    Hold {
        held: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Success,
    /// It worked, and took long; of which of a few operations.
    Slow(usize),
    /// It was stopped at its deadline.
    Stopped(usize),
    Failure,
    Trip,
    Isolate,
    Ignored,
}

impl How {
    fn outcome(self) -> Outcome {
        let cause = || Cause {
            text: "it failed".into(),
            told: Told::Busy,
        };
        match self {
            How::Success => Outcome::Success,
            How::Slow(name) => Outcome::Slow {
                operation: NAMES[name],
                worked: true,
            },
            How::Stopped(name) => Outcome::Slow {
                operation: NAMES[name],
                worked: false,
            },
            How::Failure => Outcome::Failure { cause: cause() },
            How::Trip => Outcome::Trip { cause: cause() },
            How::Isolate => Outcome::Isolate {
                cause: "it is corrupt".into(),
            },
            How::Ignored => Outcome::Ignored,
        }
    }
}

impl How {
    /// Which operation was slow.
    fn slow(self) -> Option<usize> {
        match self {
            How::Slow(name) | How::Stopped(name) => Some(name),
            _ => None,
        }
    }
}

/// Milliseconds since the start.
type Ms = u64;

#[derive(Debug, Clone, PartialEq)]
enum State {
    Closed {
        row: Vec<u64>,
    },
    /// Where between these two it will let a probe through is for the breaker's jitter to say.
    Open {
        earliest: Ms,
        latest: Ms,
    },
    HalfOpen {
        permits: usize,
        successes: usize,
        leases: Vec<(u64, Ms)>,
    },
    ForcedOpen {
        until: Option<Ms>,
    },
    Disabled {
        until: Option<Ms>,
    },
    Isolated {
        then: Option<(bool, Option<Ms>)>,
    },
}

/// A settled call that counts: when, and how it went.
type Call = (Ms, How);

struct Model {
    now: Ms,
    state: State,
    /// Changes with every change of state and every reset: what passed before it says nothing any more.
    generation: u64,
    window: Vec<Call>,
    reopened: i32,
    held: bool,
    refused: u64,
    leases_given: u64,
}

/// A permit as the model sees it.
#[derive(Debug, Clone, Copy)]
struct Pass {
    generation: u64,
    lease: Option<u64>,
    operation: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            now: 0,
            state: State::Closed { row: Vec::new() },
            generation: 0,
            window: Vec::new(),
            reopened: 0,
            held: false,
            refused: 0,
            leases_given: 0,
        }
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }

    fn close(&mut self) {
        self.window.clear();
        self.go(State::Closed { row: Vec::new() });
    }

    fn open(&mut self) {
        let nominal = (30_000.0 * 1.5_f64.powi(self.reopened)).min(300_000.0);
        self.go(State::Open {
            earliest: self.now + (nominal * 0.9) as Ms,
            latest: self.now + (nominal * 1.1) as Ms + 1,
        });
    }

    /// The calls of the last 60 whole seconds.
    fn recent(&self) -> Vec<How> {
        let is_recent = |call: &&Call| call.0 / 1000 + 60 > self.now / 1000;
        self.window.iter().filter(is_recent).map(|call| call.1).collect()
    }

    /// Calls, failures, slow calls.
    fn counts(&self) -> (u64, u64, u64) {
        let recent = self.recent();
        let failures = recent.iter().filter(|how| **how == How::Failure).count();
        let slow = recent.iter().filter(|how| how.slow().is_some()).count();
        (recent.len() as u64, failures as u64, slow as u64)
    }

    /// Whether each of the operations was slow at least once.
    fn several_slow(&self) -> bool {
        let recent = self.recent();
        (0..NAMES.len()).all(|name| recent.iter().any(|how| how.slow() == Some(name)))
    }

    fn expire(&mut self) {
        if let State::ForcedOpen { until: Some(until) } | State::Disabled { until: Some(until) } = self.state
            && self.now >= until
        {
            self.close();
        }
    }

    /// `retry_at` is the breaker's own, already seen to lie within the bounds.
    fn acquire(&mut self, operation: u64, retry_at: Option<Ms>) -> Option<Pass> {
        if let State::Open { .. } = self.state
            && !self.held
            && retry_at.is_some_and(|at| self.now >= at)
        {
            self.go(State::HalfOpen {
                permits: 1,
                successes: 0,
                leases: Vec::new(),
            });
        }
        self.expire();
        let now = self.now;
        let lease = match &mut self.state {
            State::Closed { .. } | State::Disabled { .. } => None,
            State::HalfOpen { permits, leases, .. } => {
                leases.retain(|lease| lease.1 > now);
                if leases.len() == *permits {
                    self.refused += 1;
                    return None;
                }
                self.leases_given += 1;
                leases.push((self.leases_given, now + 30_000));
                Some(self.leases_given)
            }
            _ => {
                self.refused += 1;
                return None;
            }
        };
        Some(Pass {
            generation: self.generation,
            lease,
            operation,
        })
    }

    fn isolate(&mut self) {
        let then = match self.state {
            State::Isolated { .. } => return,
            State::ForcedOpen { until } => Some((true, until)),
            State::Disabled { until } => Some((false, until)),
            _ => None,
        };
        self.go(State::Isolated { then });
    }

    fn settle(&mut self, pass: Pass, how: How) {
        if how == How::Isolate {
            return self.isolate();
        }
        if pass.generation != self.generation {
            return;
        }
        match self.state.clone() {
            State::Closed { row } => self.settle_closed(row, pass, how),
            State::HalfOpen {
                permits,
                successes,
                leases,
            } => self.settle_probe((permits, successes, leases), pass, how),
            _ => {}
        }
    }

    fn settle_closed(&mut self, mut row: Vec<u64>, pass: Pass, how: How) {
        match how {
            How::Ignored | How::Isolate => return,
            How::Trip => return self.open(),
            How::Success | How::Slow(_) => row.clear(),
            How::Stopped(_) => {}
            How::Failure => row.push(pass.operation),
        }
        self.window.push((self.now, how));
        let several = row.iter().any(|operation| *operation != row[0]);
        let in_a_row = how == How::Failure && row.len() >= 5 && several;
        let (calls, failures, slow) = self.counts();
        let half_failed = how == How::Failure && calls >= 20 && failures * 2 >= calls;
        let mostly_slow = how.slow().is_some() && calls >= 20 && slow * 5 >= calls * 4 && self.several_slow();
        self.state = State::Closed { row };
        if in_a_row || half_failed || mostly_slow {
            self.open();
        }
    }

    fn settle_probe(&mut self, half_open: (usize, usize, Vec<(u64, Ms)>), pass: Pass, how: How) {
        let (mut permits, mut successes, mut leases) = half_open;
        let held = leases
            .iter()
            .any(|lease| Some(lease.0) == pass.lease && lease.1 > self.now);
        leases.retain(|lease| Some(lease.0) != pass.lease && lease.1 > self.now);
        if held && how == How::Success {
            (permits, successes) = ((permits * 2).min(64), successes + 1);
        }
        self.state = State::HalfOpen {
            permits,
            successes,
            leases,
        };
        if held && (matches!(how, How::Failure | How::Trip) || how.slow().is_some()) {
            self.reopened += 1;
            self.open();
        } else if successes == 3 {
            self.reopened = 0;
            self.close();
        }
    }

    fn set_by_hand(&mut self, forced: bool, seconds: Option<u64>) {
        let until = seconds.map(|seconds| self.now + seconds * 1000);
        match &mut self.state {
            State::Isolated { then } => *then = Some((forced, until)),
            _ if forced => self.go(State::ForcedOpen { until }),
            _ => self.go(State::Disabled { until }),
        }
    }

    fn verified(&mut self) {
        let State::Isolated { then } = self.state else { return };
        match then.filter(|(_, until)| until.is_none_or(|until| self.now < until)) {
            None => self.close(),
            Some((true, until)) => self.go(State::ForcedOpen { until }),
            Some((false, until)) => self.go(State::Disabled { until }),
        }
    }

    fn reset(&mut self) -> bool {
        if let State::Isolated { .. } = self.state {
            return false;
        }
        (self.reopened, self.held) = (0, false);
        self.close();
        true
    }

    fn name(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "CLOSED",
            State::Open { .. } => "OPEN",
            State::HalfOpen { .. } => "HALF_OPEN",
            State::ForcedOpen { .. } => "FORCED_OPEN",
            State::Disabled { .. } => "DISABLED",
            State::Isolated { .. } => "ISOLATED",
        }
    }
}

/// Both, going the same way.
struct Pair {
    model: Model,
    breaker: Arc<Breaker>,
    clock: Arc<ManualClock>,
    out: Vec<(Pass, Permit)>,
    /// When the breaker lets a probe through, as it said when it opened.
    retry_at: Option<Ms>,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::starting_at(from_epoch_ms(0)));
        let settings = BreakerSettings::default();
        let breaker = Breaker::new("app.write".into(), settings, clock.clone(), Arc::new(Unobserved));
        Self {
            model: Model::new(),
            breaker,
            clock,
            out: Vec::new(),
            retry_at: None,
        }
    }

    fn acquire(&mut self, operation: u64) -> Option<(Pass, Permit)> {
        let expected = self.model.acquire(operation, self.retry_at);
        let got = self.breaker.acquire(operation, None);
        assert_eq!(got.is_ok(), expected.is_some(), "{:?}", self.model.state);
        match got {
            Ok(permit) => expected.map(|pass| (pass, permit)),
            Err(refusal) => {
                let shown = refusal.retry_after.map(|left| left.as_millis() as Ms);
                let now = self.model.now;
                match &self.model.state {
                    State::Open { .. } => assert!(shown.expect("a time").abs_diff(self.time_left()) <= 1),
                    State::HalfOpen { leases, .. } => {
                        let next = leases.iter().map(|lease| lease.1 - now).min();
                        assert_eq!(shown, next.map(|left| left.min(1000)));
                    }
                    State::ForcedOpen { until } => assert_eq!(shown, until.map(|until| until - now)),
                    _ => assert_eq!(shown, None),
                }
                assert_eq!(refusal.isolated, self.model.name() == "ISOLATED");
                None
            }
        }
    }

    /// What an OPEN breaker says it takes until a probe, in whole milliseconds.
    fn time_left(&self) -> Ms {
        let left = self.retry_at.map_or(0, |at| at.saturating_sub(self.model.now));
        if self.model.held { left.max(1000) } else { left }
    }

    fn settle(&mut self, (pass, permit): (Pass, Permit), how: How) {
        self.model.settle(pass, how);
        permit.settle(how.outcome());
    }

    fn take(&mut self, which: usize) -> Option<(Pass, Permit)> {
        (!self.out.is_empty()).then(|| self.out.swap_remove(which % self.out.len()))
    }

    fn advance(&mut self, ms: Ms) {
        self.model.now += ms;
        self.clock.advance(Duration::from_millis(ms));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Acquire { operation } => {
                let got = self.acquire(operation);
                self.out.extend(got);
            }
            Step::Call { operation, how } => {
                if let Some(got) = self.acquire(operation) {
                    self.settle(got, how);
                }
            }
            Step::Settle { which, how } => {
                if let Some(got) = self.take(which) {
                    self.settle(got, how);
                }
            }
            Step::Drop { which } => {
                if let Some((pass, permit)) = self.take(which) {
                    self.model.settle(pass, How::Ignored);
                    drop(permit);
                }
            }
            Step::Advance { ms } => self.advance(ms),
            Step::AdvanceToRetry => {
                let left = self.breaker.status().retry_after.unwrap_or_default();
                self.model.expire();
                self.advance(left.as_millis() as Ms + 1);
            }
            Step::Force { seconds } => {
                self.model.set_by_hand(true, seconds);
                self.breaker.force_open(seconds.map(Duration::from_secs), "drill", None);
            }
            Step::Disable { seconds } => {
                self.model.set_by_hand(false, seconds);
                self.breaker.disable(seconds.map(Duration::from_secs), "drill", None);
            }
            Step::Reset => assert_eq!(self.breaker.reset("by hand", None), self.model.reset()),
            Step::Isolate => {
                self.model.isolate();
                self.breaker.isolate("it is corrupt");
            }
            Step::Verified => {
                self.model.verified();
                self.breaker.verified();
            }
            Step::Hold { held } => {
                self.model.held = held;
                self.breaker.hold(held);
            }
        }
    }

    fn compare(&mut self) {
        // Before anything looks: permits of generations that are over know it.
        for (pass, permit) in &self.out {
            assert_eq!(permit.is_current(), pass.generation == self.model.generation);
        }
        // Looking ends what was set by hand for a time that is over.
        self.model.expire();
        let status = self.breaker.status();
        assert_eq!(status.state, self.model.name());
        let (calls, failures, slow) = self.model.counts();
        assert_eq!((status.buffered_calls, status.failed_calls), (calls, failures));
        let slow_rate = if calls == 0 { 0.0 } else { slow as f64 / calls as f64 };
        assert!((status.slow_call_rate - slow_rate).abs() < 1e-9);
        assert_eq!(status.not_permitted_calls, self.model.refused);
        assert_eq!(status.is_healthy(), matches!(self.model.name(), "CLOSED" | "DISABLED"));
        assert_eq!(status.opened_at.is_none(), status.is_healthy());
        match self.model.state {
            State::Open { earliest, latest } => self.compare_open(status.retry_after, earliest, latest),
            _ => self.retry_at = None,
        }
    }

    fn compare_open(&mut self, retry_after: Option<Duration>, earliest: Ms, latest: Ms) {
        let left = retry_after.expect("an open breaker says when");
        if self.retry_at.is_none_or(|at| at < earliest || at > latest) {
            // The next whole millisecond: the model knows no shorter time.
            let at = self.model.now + left.as_millis() as Ms + 1;
            assert!(at >= earliest && at <= latest, "{earliest} <= {at} <= {latest}");
            self.retry_at = Some(at);
        }
        // The breaker counts nanoseconds, the model milliseconds.
        assert!((left.as_millis() as Ms).abs_diff(self.time_left()) <= 1);
    }
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Success),
        1 => (0..2_usize).prop_map(How::Slow),
        1 => (0..2_usize).prop_map(How::Stopped),
        6 => Just(How::Failure),
        1 => Just(How::Trip),
        1 => Just(How::Isolate),
        1 => Just(How::Ignored),
    ]
}

/// Calls that leave the state to rows and rates more often than the mixture above does.
fn calm() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Success),
        1 => (0..2_usize).prop_map(How::Slow),
        2 => (0..2_usize).prop_map(How::Stopped),
        4 => Just(How::Failure),
    ]
}

/// Hardly anything but slow calls, mostly of one operation.
fn slow() -> impl Strategy<Value = How> {
    prop_oneof![
        2 => Just(How::Success),
        9 => Just(How::Slow(0)),
        9 => Just(How::Stopped(0)),
        1 => Just(How::Slow(1)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = || prop::option::of(1..90_u64);
    prop_oneof![
        12 => (0..4_u64, calm()).prop_map(|(operation, how)| Step::Call { operation, how }),
        2 => (0..4_u64, how()).prop_map(|(operation, how)| Step::Call { operation, how }),
        6 => (0..4_u64).prop_map(|operation| Step::Acquire { operation }),
        6 => (any::<usize>(), how()).prop_map(|(which, how)| Step::Settle { which, how }),
        2 => any::<usize>().prop_map(|which| Step::Drop { which }),
        4 => (0..40_000_u64).prop_map(|ms| Step::Advance { ms }),
        4 => Just(Step::AdvanceToRetry),
        1 => seconds().prop_map(|seconds| Step::Force { seconds }),
        1 => seconds().prop_map(|seconds| Step::Disable { seconds }),
        1 => Just(Step::Reset),
        1 => Just(Step::Isolate),
        3 => Just(Step::Verified),
        1 => any::<bool>().prop_map(|held| Step::Hold { held }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_does_what_the_model_does(steps in prop::collection::vec(step(), 1..150)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
            pair.compare();
        }
    }

    #[test]
    fn slowness_opens_exactly_when_the_model_says(calls in prop::collection::vec((0..3_u64, slow(), 0..3000_u64), 1..200)) {
        let mut pair = Pair::new();
        for (operation, how, ms) in calls {
            pair.advance(ms);
            pair.step(Step::Call { operation, how });
            pair.compare();
            if pair.model.name() == "OPEN" {
                pair.step(Step::Reset);
            }
        }
    }

    #[test]
    fn rows_and_rates_open_exactly_when_the_model_says(calls in prop::collection::vec((0..3_u64, calm(), 0..3000_u64), 1..200)) {
        let mut pair = Pair::new();
        for (operation, how, ms) in calls {
            pair.advance(ms);
            pair.step(Step::Call { operation, how });
            pair.compare();
            if pair.model.name() == "OPEN" {
                pair.step(Step::Reset);
            }
        }
    }
}
