//! Simulations in a process of their own (floor 1, tests only).
//!
//! What must stay true: nobody else uses SQLite in that process meanwhile. As it is built here, all connections of a
//! process share one page cache, from which each takes the others' pages away (a probe's `shrink_memory` all that are
//! not in use): with other tests, or another seed, beside it a simulation would ask its disk for other pages at other
//! times, and a fault planned for the n-th read would strike somewhere else.

use std::process::Command;

use serde::{Deserialize, Serialize};

use super::run::{Done, run};

const ORDERS: &str = "SIMULATION_ORDERS";
const STEPS: &str = "SIMULATION_STEPS";
const TEST: &str = "db::simulation::child::does_as_ordered";
const MARK: &str = "simulated: ";

/// A seed, and what became of it.
#[derive(Serialize, Deserialize)]
pub struct Ran {
    pub seed: u64,
    pub outcome: Result<Done, String>,
}

/// Runs seeds in a new process: each group one after the other on a thread of its own, and the groups one after the other.
///
/// # Errors
/// How the process ended before it had run them all, and what it said.
pub fn run_apart(groups: &[&[u64]], steps: u64) -> Result<Vec<Ran>, String> {
    let group = |seeds: &&[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let orders = groups.iter().map(group).collect::<Vec<_>>().join(";");
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(exe)
        .args([TEST, "--exact", "--nocapture"])
        .envs([(ORDERS, orders), (STEPS, steps.to_string())])
        .output()
        .map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&child.stdout);
    let ran: Vec<Ran> = told
        .lines()
        .filter_map(|line| line.strip_prefix(MARK))
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    if child.status.success() && ran.len() == groups.concat().len() {
        return Ok(ran);
    }
    let said = String::from_utf8_lossy(&child.stderr);
    Err(format!(
        "its process ended with {} after {} seeds: {said}",
        child.status,
        ran.len()
    ))
}

/// What the new process does. Without orders there is nothing to do.
#[test]
fn does_as_ordered() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let steps = super::number(STEPS).expect("a number of steps");
    for group in orders.split(';') {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for seed in group.split(',').map(|seed| seed.parse().expect("a seed")) {
                    let outcome = run(seed, steps);
                    let ran = serde_json::to_string(&Ran { seed, outcome }).expect("plain data");
                    // The test harness may have begun a line of its own.
                    println!("\n{MARK}{ran}");
                }
            });
        });
    }
}
