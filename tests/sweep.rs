//! The sweep: one workload, over and over, with its Nth call to the storage failing, once and then for good, for every N
//! until it completes without meeting the fault.
//!
//! What must stay true after each run, with the fault gone: the file opens; `integrity_check` says ok; every acknowledged
//! write is there exactly once; what was said not to be done isn't there; of an unknown outcome all is there or nothing;
//! no write is there by half. Runs are independent of each other, each in a folder of its own.
//!
//! All calls are swept with every N; the sweeps of single kinds go in steps of `MAINSTAY_TEST_STEP` (3).

mod common;
mod vfs;
#[path = "sweep/workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::ffi;
use vfs::{ALL, Call, Effect, Fault, arm};
use workload::{Tally, run, verify};

/// Runs at a time; most of each is waiting.
const THREADS: usize = 8;

/// One sweep's faults.
struct Sweep {
    name: &'static str,
    calls: &'static [Call],
    effect: Effect,
    /// Calls that fail from the Nth on.
    times: u64,
    step: u64,
}

/// From one tried N to the next.
fn step() -> u64 {
    std::env::var("MAINSTAY_TEST_STEP").map_or(3, |step| step.parse().expect("a number"))
}

const ONCE: u64 = 1;
const FOR_GOOD: u64 = u64::MAX;

/// Whether the workload met the fault, and what became of it.
fn one_run(sweep: &Sweep, number: u64) -> (bool, u64, Tally) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("a folder");
    let fault = arm(Fault::lasting(sweep.calls, &path, "", sweep.effect).only(number, sweep.times));
    let done = run(&path);
    let (seen, hits) = (fault.seen(), fault.hits());
    drop(fault);
    let context = format!("{}, call {number}, {} failing", sweep.name, sweep.times);
    (hits > 0, seen, verify(&path, done, &context))
}

/// Every N, spread over threads, until the workload completes without the fault.
fn sweep(sweep: &Sweep) {
    vfs::install();
    let began = Instant::now();
    let (met, undisturbed, _) = one_run(sweep, u64::MAX);
    assert!(!met && undisturbed > 0, "the workload makes these calls");
    let (next, end) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let (runs, most) = (AtomicU64::new(0), AtomicU64::new(undisturbed));
    let tally = Mutex::new(BTreeMap::<&'static str, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(sweep.step, Ordering::Relaxed);
                    if number >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    let (met, seen, outcomes) = one_run(sweep, number);
                    runs.fetch_add(1, Ordering::Relaxed);
                    most.fetch_max(seen, Ordering::Relaxed);
                    let mut tally = tally.lock().expect("not poisoned");
                    outcomes
                        .iter()
                        .for_each(|(kind, count)| *tally.entry(kind).or_default() += count);
                    // Threads make some runs a little shorter than others.
                    if !met && number >= undisturbed {
                        end.fetch_min(number, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!(
        "sweep of {} ({}): {} runs, {undisturbed} to {} calls, {:.1} s; writes by outcome: {:?}",
        sweep.name,
        if sweep.times == ONCE { "once" } else { "for good" },
        runs.into_inner(),
        most.into_inner(),
        began.elapsed().as_secs_f64(),
        tally.into_inner().expect("not poisoned"),
    );
}

#[test]
fn any_call_fails_once() {
    sweep(&Sweep {
        name: "any call",
        calls: ALL,
        effect: Effect::Fails,
        times: ONCE,
        step: 1,
    });
}

#[test]
fn every_call_fails_for_good() {
    sweep(&Sweep {
        name: "all calls",
        calls: ALL,
        effect: Effect::Fails,
        times: FOR_GOOD,
        step: 1,
    });
}

/// What fails while everything else works. Once is a part of "any call" already.
#[test]
fn one_kind_of_call_fails_for_good() {
    let kinds: [(&str, &[Call]); 6] = [
        ("reads", &[Call::Read]),
        ("writes", &[Call::Write]),
        ("syncs", &[Call::Sync]),
        ("shared memory", &[Call::ShmMap, Call::ShmLock]),
        ("opening", &[Call::Open, Call::Access]),
        (
            "locks, sizes, truncation",
            &[Call::Lock, Call::FileSize, Call::Truncate],
        ),
    ];
    for (name, calls) in kinds {
        sweep(&Sweep {
            name,
            calls,
            effect: Effect::Fails,
            times: FOR_GOOD,
            step: step(),
        });
    }
}

#[test]
fn the_disk_is_full_or_a_write_is_torn() {
    let full = Effect::FailsWith(ffi::SQLITE_FULL, rustix::io::Errno::NOSPC.raw_os_error());
    for (name, effect) in [("writes to a full disk", full), ("torn writes", Effect::Tears)] {
        for times in [ONCE, FOR_GOOD] {
            sweep(&Sweep {
                name,
                calls: &[Call::Write],
                effect,
                times,
                step: step(),
            });
        }
    }
}
