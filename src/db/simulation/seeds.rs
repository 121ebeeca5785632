//! Many seeds (floor 1, tests only): each in a fresh process, and the same wherever and whenever it runs.
//!
//! What must stay true: a seed that failed is printed with the command that runs it alone, and that run is the same one.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::child::{Ran, run_apart};
use super::number;
use super::run::Done;
use super::tally::{Counts, Tally};

fn run_alone(seed: u64, steps: u64) -> Result<Done, String> {
    let ran = run_apart(&[&[seed]], steps)?;
    ran.into_iter().next().ok_or("nothing was run")?.outcome
}

/// Runs seeds, as many at once as there are processors, and panics with the first that fails.
fn run_seeds(first: u64, seeds: u64, steps: u64) {
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let at_once = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let totals = Mutex::new((Tally::default(), Counts::default(), Counts::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || !failures.lock().is_empty() {
                return;
            }
            match run_alone(seed, steps) {
                Ok(done) => {
                    let mut totals = totals.lock();
                    totals.0.add(&done.tally);
                    totals.1.add(&done.refusals);
                    totals.2.add(&done.faults);
                }
                Err(report) => failures.lock().push((seed, report)),
            }
        }
    };
    std::thread::scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(work))));
    let (tally, refusals, faults) = &*totals.lock();
    println!("{seeds} seeds from {first}, {steps} steps each: {tally:?}");
    println!("  refused writes: {refusals}\n  faults that struck: {faults}");
    if let Some((seed, report)) = failures.lock().first() {
        panic!(
            "seed {seed} failed: {report}\nalone: SIMULATION_SEED={seed} SIMULATION_STEPS={steps} cargo test --release --locked --lib simulation::seeds::hold -- --nocapture"
        );
    }
}

#[test]
fn hold() {
    let (only, seeds) = (number("SIMULATION_SEED"), number("SIMULATION_SEEDS"));
    let seeds = seeds.unwrap_or(if only.is_some() { 1 } else { 4 });
    run_seeds(only.unwrap_or(1), seeds, number("SIMULATION_STEPS").unwrap_or(2_000));
}

/// The first step after which two runs of a seed differ.
fn parting(one: &Done, other: &Done) -> Option<usize> {
    let differs = one.steps.iter().zip(&other.steps).position(|(one, other)| one != other);
    differs.or((one.steps.len() != other.steps.len()).then_some(one.steps.len().min(other.steps.len())))
}

#[test]
fn run_the_same_alone_and_after_others_on_fresh_and_on_used_threads() {
    const STEPS: u64 = 500;
    let seeds = [1, 2, 3, 4, 5, 6];
    let alone = seeds.map(|seed| run_alone(seed, STEPS).unwrap_or_else(|report| panic!("seed {seed}: {report}")));
    let orders: [&[&[u64]]; 2] = [
        &[&[1, 2, 3, 4, 5, 6], &[6, 5, 4, 3, 2, 1]],
        &[&[4], &[2, 2], &[6], &[1], &[3, 5]],
    ];
    for groups in orders {
        for Ran { seed, outcome } in run_apart(groups, STEPS).expect("all are run") {
            let done = outcome.unwrap_or_else(|report| panic!("seed {seed}: {report}"));
            let step = parting(&alone[seed as usize - 1], &done);
            assert_eq!(step, None, "seed {seed} in {groups:?} is another run from this step on");
        }
    }
    assert_eq!(parting(&alone[0], &alone[1]), Some(0), "another seed is another run");
}
