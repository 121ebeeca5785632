//! A seeded simulation of the whole database layer (floor 1, tests only), after FoundationDB's and TigerBeetle's idea:
//! callers, reader threads, the writer and the health watch run on one thread, in a time of their own, over a disk in
//! memory that fails, fills, slows down and loses power; after every step a plain model says what may be true.
//!
//! What must stay true: the same seed gives the same run, in a fresh process as after others, and a failing seed is
//! printed with how to run it alone. That needs that whatever a run looks at belongs to its [`world`] or to its process,
//! which runs one seed at a time and nothing else ([`child`]).
//!
//! ```text
//! SIMULATION_SEED=4 SIMULATION_STEPS=10000 cargo test --release --locked --lib simulation::seeds::hold -- --nocapture
//! ```
//! runs one seed; with `SIMULATION_SEEDS=100` that many from there on, or from 1. Steps count: a seed of 400 steps is the
//! beginning of its run of 10,000, up to the recovery at its end. `SIMULATION_TRACE=file` appends every line of the trace
//! and every call to the disk to `file.4`.

mod child;
mod disk;
mod displaced;
mod entries;
mod faults;
mod file;
mod locks;
mod model;
mod once;
mod paths;
mod reads;
mod reckoning;
mod rot;
mod run;
mod scars;
mod seeds;
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

/// A permit is gone, settled or not: so is its lease.
pub fn permit_gone(breaker: &Breaker, lease: Option<u64>) {
    if let Some(world) = world::current()
        && let Some(lease) = lease
        && breaker.has_lease(lease)
    {
        world.fail(format!("{} keeps a lease whose permit is gone", breaker.name()));
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
