//! A seeded simulation of the whole database layer (floor 1, tests only), after FoundationDB's and TigerBeetle's idea:
//! callers, reader threads, the writer and the health watch run on one thread, in a time of their own, over a disk in
//! memory that fails, fills, slows down and loses power; after every step a plain model says what may be true.
//!
//! What must stay true: the same seed gives the same run, and a failing seed is printed with how to run it alone.
//! `SIMULATION_SEEDS` (how many), `SIMULATION_SEED` (the first, or with `SIMULATION_SEEDS` absent the only one) and
//! `SIMULATION_STEPS` change what runs.

mod disk;
mod entries;
mod faults;
mod file;
mod locks;
mod model;
mod once;
mod paths;
mod reckoning;
mod rot;
mod run;
mod steps;
mod tally;
mod time;
mod trace;
mod troubles;
mod vfs;
mod watcher;
mod world;

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

pub use self::paths::{content, hold_back, inode, remove, replace, space, stat, sync, write};
use super::breaker::{Breaker, Outcome};
use super::wait::{Elapsed, Panicked};
use super::writer::Unattended;
use crate::clock;

/// Whether this thread lives in a simulation.
pub fn is_running() -> bool {
    world::current().is_some()
}

/// Hands a writer over, which gets its turns from here on.
pub fn adopt(writer: Unattended) {
    world::current().expect("asked before").adopt(writer);
}

/// A permit of this breaker is about to be settled.
pub fn settling(breaker: &Breaker, is_current: bool, operation: u64, outcome: &Outcome) {
    if let Some(world) = world::current() {
        world.reckoning.settling(breaker.name(), is_current, operation, outcome);
    }
}

/// Runs `work` again and again on a thread of its own, `span` apart, until it says that it is over.
pub fn regularly(span: Duration, work: impl Fn() -> bool + Send + Sync + 'static) {
    let work = std::sync::Arc::new(work);
    world::current().expect("asked before").spawn(async move {
        loop {
            sleep(span).await;
            let work = std::sync::Arc::clone(&work);
            if blocking(move || work()).await != Ok(true) {
                return;
            }
        }
    });
}

async fn at(when: Instant) {
    poll_fn(|_| {
        if clock::now() >= when {
            return Poll::Ready(());
        }
        world::current().expect("a simulated task").wanted_at(when);
        Poll::Pending
    })
    .await;
}

/// [`super::wait::sleep`] here.
pub async fn sleep(span: Duration) {
    at(clock::now() + span).await;
}

/// [`super::wait::until`] here.
pub async fn until<F: Future>(deadline: Instant, work: F) -> Result<F::Output, Elapsed> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = at(deadline) => Err(Elapsed),
    }
}

/// [`super::wait::blocking`] here.
pub async fn blocking<T, F>(work: F) -> Result<T, Panicked>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (reply, answer) = tokio::sync::oneshot::channel();
    let caught = move || {
        if let Ok(done) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            drop(reply.send(done));
        }
    };
    world::current().expect("asked before").thread(Box::new(caught));
    answer.await.map_err(|_| Panicked)
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok()?.parse().ok()
}

/// Runs seeds on as many threads as there are processors and panics with the first that fails.
fn run_seeds(first: u64, seeds: u64, steps: u64) {
    let next = std::sync::atomic::AtomicU64::new(first);
    let failures = parking_lot::Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let totals = parking_lot::Mutex::new((
        tally::Tally::default(),
        tally::Counts::default(),
        tally::Counts::default(),
    ));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= first + seeds || !failures.lock().is_empty() {
                        return;
                    }
                    match run::run(seed, steps) {
                        Ok(done) => {
                            let mut totals = totals.lock();
                            totals.0.add(&done.tally);
                            totals.1.add(&done.refusals);
                            totals.2.add(&done.faults);
                        }
                        Err(report) => failures.lock().push((seed, report)),
                    }
                }
            });
        }
    });
    let (tally, refusals, faults) = &*totals.lock();
    println!("{seeds} seeds from {first}, {steps} steps each: {tally:?}");
    println!("  refused writes: {refusals}\n  faults that struck: {faults}");
    if let Some((seed, report)) = failures.lock().first() {
        panic!(
            "seed {seed} failed: {report}\nalone: SIMULATION_SEED={seed} SIMULATION_STEPS={steps} cargo test --release --locked --lib simulation::seeds -- --nocapture"
        );
    }
}

#[test]
fn seeds_hold() {
    let (only, seeds) = (number("SIMULATION_SEED"), number("SIMULATION_SEEDS"));
    let seeds = seeds.unwrap_or(if only.is_some() { 1 } else { 4 });
    run_seeds(only.unwrap_or(1), seeds, number("SIMULATION_STEPS").unwrap_or(2_000));
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    let [one, two] = [(); 2].map(|()| run::run(7, 1_500).map(|done| done.hash));
    assert_eq!(one, two);
    assert_ne!(one, run::run(8, 1_500).map(|done| done.hash));
}
