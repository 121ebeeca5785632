//! What a breaker takes of every call: ours beside the `recloser` and `failsafe` crates, by one thread and by two at once.
//!
//! What must stay true: each side does the same for a call: permit, an empty call, settle its success; all are closed.
//! Rounds of all sides take turns. A round's figure is the median of short stretches, so that what else the machine
//! does meanwhile, which takes the core away for milliseconds, is nobody's cost. The first lines are what the parts of
//! a settled permit cost by themselves: a look at the coarse clock and one compare-and-swap.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use failsafe::CircuitBreaker;
use mainstay::clock::{Clock, SystemClock};
use mainstay::config::BreakerSettings;
use mainstay::db::Unobserved;
use mainstay::db::breaker::{Breaker, Outcome};

use crate::common::{Extent, Table, median, ratio};

/// The breakers under test; `Call` is one permit and the settling of its success.
type Call = Arc<dyn Fn(u64) + Send + Sync>;

/// Calls timed together: some microseconds.
const STRETCH: u64 = 500;

const SUCCESS: Outcome = Outcome::Success;

/// Which of the sides are ours.
const BORROWED: usize = 3;
const OWNED: usize = 4;

fn swap(number: u64) {
    static WORD: AtomicU64 = AtomicU64::new(0);
    let seen = WORD.load(Ordering::Acquire);
    _ = black_box(WORD.compare_exchange(seen, number, Ordering::AcqRel, Ordering::Acquire));
}

fn nothing() -> Result<(), Infallible> {
    black_box(Ok(()))
}

/// A loop of calls, compiled for each side by itself, so that none pays for an indirect call.
fn repeated(call: impl Fn(u64) + Send + Sync + 'static) -> Call {
    Arc::new(move |calls| (0..calls).for_each(|number| call(black_box(number))))
}

fn sides() -> Vec<(&'static str, Call)> {
    let ours = || {
        Breaker::new(
            "bench".into(),
            BreakerSettings::default(),
            SystemClock::shared(),
            Arc::new(Unobserved),
        )
    };
    let (owned, borrowed) = (ours(), ours());
    let recloser = recloser::Recloser::default();
    let failsafe = failsafe::Config::new().build();
    vec![
        ("one look at the clock", repeated(|_| _ = black_box(Instant::now()))),
        (
            "one look at the coarse clock",
            repeated(|_| _ = black_box(SystemClock.second())),
        ),
        ("one compare-and-swap", repeated(swap)),
        (
            "mainstay, permit borrowed",
            repeated(move |number| {
                let permit = borrowed.borrow_permit(number, None).expect("closed");
                let _ = nothing();
                permit.settle(SUCCESS);
            }),
        ),
        (
            "mainstay, permit owned",
            repeated(move |number| {
                let permit = owned.acquire(number, None).expect("closed");
                let _ = nothing();
                permit.settle(SUCCESS);
            }),
        ),
        ("recloser", repeated(move |_| recloser.call(nothing).expect("closed"))),
        ("failsafe", repeated(move |_| failsafe.call(nothing).expect("closed"))),
    ]
}

/// Nanoseconds a call, when this many threads call at once.
fn measure(call: &Call, threads: usize, calls: u64) -> f64 {
    let ready = Arc::new(Barrier::new(threads + 1));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (ready, call) = (Arc::clone(&ready), Arc::clone(call));
            std::thread::spawn(move || {
                ready.wait();
                let stretch = |_| {
                    let started = Instant::now();
                    call(STRETCH);
                    started.elapsed().as_secs_f64() * 1e9 / STRETCH as f64
                };
                median(&(0..calls / STRETCH).map(stretch).collect::<Vec<_>>())
            })
        })
        .collect();
    ready.wait();
    let took: Vec<f64> = workers
        .into_iter()
        .map(|worker| worker.join().expect("ended"))
        .collect();
    took.iter().sum::<f64>() / threads as f64
}

/// Measures and prints.
pub fn compare(extent: Extent) {
    let sides = sides();
    let calls = extent.pick(1_000_000, 10_000);
    for (threads, heading) in [(1, "breaker, one thread"), (2, "breaker, two threads at once")] {
        let mut rounds = vec![Vec::new(); sides.len()];
        for _ in 0..extent.pick(15, 3) {
            for (side, rounds) in sides.iter().zip(&mut rounds) {
                rounds.push(measure(&side.1, threads, calls));
            }
        }
        let medians: Vec<f64> = rounds.iter().map(|rounds| median(rounds)).collect();
        let mut table = Table::new(&[heading, "ns a call", "over ours borrowed", "over ours owned"]);
        for (index, (name, _)) in sides.iter().enumerate() {
            let over = |ours: usize| format!("{:.2}", ratio(medians[index], medians[ours]));
            table.row(vec![
                (*name).into(),
                format!("{:.1}", medians[index]),
                over(BORROWED),
                over(OWNED),
            ]);
        }
        table.print();
    }
}
