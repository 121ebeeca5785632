//! Alerts (floor 4): rules over what monitoring sees, and what is active.
//!
//! What must stay true: rules are pure; an alert has a stable id for its cause, so that one cause is one alert; each
//! carries its runbook, filled in with live evidence. `api` shows them. Delivery to channels builds on the same rules.

mod rules;
mod state;

pub use rules::{Alert, Facts, rules};
pub use state::{ActiveAlert, Alerts};
