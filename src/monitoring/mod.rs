//! What can be seen from outside (floor 3): requests, health, statistics.
//!
//! What must stay true: looking never waits for a database that is in trouble; every number says what it counts and
//! since when. `http` records requests here, `api` shows the rest.

mod breakers;
mod damage;
mod health;
mod process;
mod requests;
mod retention;
mod stats;

pub use breakers::Evidence;
pub use health::{Component, Health, HealthStatus, Monitor};
pub use process::ProcessStatus;
pub use requests::{RequestStatus, Requests};
pub use retention::preview_view;
pub use stats::Stats;
