//! Fault 33: SQLite runs out of memory: the workload of the sweep, over and over, with its Nth allocation failing, once and
//! then for good.
//!
//! What must stay true: nothing aborts or panics; what holds after a failed call to the storage holds here too. A file of
//! its own, because the allocator belongs to the whole process: one run at a time.
//!
//! N goes in random steps of `MAINSTAY_TEST_STEP` (100) on average, so that each run tries others; 1 tries all. The seed
//! is printed, and taken from `MAINSTAY_TEST_SEED`.

mod common;
mod vfs;
#[path = "sweep/workload.rs"]
mod workload;

use std::time::Instant;

use vfs::memory;
use workload::{Tally, run, verify};

fn one_run(number: u64, times: u64) -> (u64, u64, Tally) {
    let folder = tempfile::tempdir().expect("a folder");
    memory::run_out(number, times);
    let done = run(folder.path());
    let (asked, failed) = memory::recover();
    (
        asked,
        failed,
        verify(folder.path(), done, &format!("allocation {number}, {times} failing")),
    )
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn sweep(times: u64, random: &mut fastrand::Rng) {
    let step = number_from("MAINSTAY_TEST_STEP").unwrap_or(100);
    let began = Instant::now();
    let (undisturbed, _, _) = one_run(u64::MAX, times);
    let (mut number, mut runs, mut tally) = (0, 0_u64, Tally::new());
    loop {
        let (_, failed, outcomes) = one_run(number, times);
        runs += 1;
        outcomes
            .iter()
            .for_each(|(kind, count)| *tally.entry(kind).or_default() += count);
        if failed == 0 && number >= undisturbed {
            break;
        }
        number += random.u64(1..2 * step);
    }
    println!(
        "sweep of allocations ({}): {runs} runs, {undisturbed} allocations, {:.1} s; writes by outcome: {tally:?}",
        if times == 1 { "once" } else { "for good" },
        began.elapsed().as_secs_f64(),
    );
}

#[test]
fn fault_33_any_allocation_fails_once_and_for_good() {
    vfs::install();
    let seed = number_from("MAINSTAY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for times in [1, u64::MAX] {
        sweep(times, &mut random);
    }
}
