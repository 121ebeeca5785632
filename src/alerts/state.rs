//! Which alerts are active, and since when (floor 4).
//!
//! What must stay true: an alert keeps its `since` while its cause lasts, however often it is looked at.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::rules::{Alert, Facts, rules};
use crate::clock::rfc3339_ms;
use crate::monitoring::Monitor;

/// An alert with the time its cause began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAlert {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// RFC 3339.
    pub since: String,
}

/// The active alerts; managed state.
#[derive(Default)]
pub struct Alerts {
    since: Mutex<HashMap<String, Timestamp>>,
}

impl Alerts {
    /// What is active now.
    pub fn active(&self, monitor: &Monitor) -> Vec<ActiveAlert> {
        let now = monitor.clock.now();
        let requests = monitor.requests.status(now);
        let ledger = monitor.log.ledger();
        let facts = Facts {
            databases: [monitor.app.status(), monitor.events.status()],
            events_lost: ledger.lost(),
            events_spooled: ledger.spooled,
            error_rate: requests.error_rate,
            requests_last_minute: requests.last_minute,
            retention: monitor.retention.status().problem(),
        };
        self.since(rules(&facts), monitor.clock.wall())
    }

    fn since(&self, alerts: Vec<Alert>, now: Timestamp) -> Vec<ActiveAlert> {
        let mut since = self.since.lock();
        since.retain(|id, _| alerts.iter().any(|alert| alert.id == *id));
        let begun = |alert: Alert, since: &mut HashMap<String, Timestamp>| {
            let began = *since.entry(alert.id.clone()).or_insert(now);
            ActiveAlert {
                alert,
                since: rfc3339_ms(began),
            }
        };
        alerts.into_iter().map(|alert| begun(alert, &mut since)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;
    use crate::db::classify::Gravity;

    fn alert(id: &str) -> Alert {
        Alert {
            id: id.into(),
            severity: Gravity::High,
            title: "t".into(),
            detail: "d".into(),
            runbook: vec![],
        }
    }

    #[test]
    fn since_holds_while_the_cause_lasts_and_starts_anew_when_it_returns() {
        let alerts = Alerts::default();
        let seen = |at: i64, ids: &[&str]| {
            alerts
                .since(ids.iter().map(|id| alert(id)).collect(), from_epoch_ms(at))
                .first()
                .map(|a| a.since.clone())
        };
        let first = seen(1000, &["a"]);
        assert_eq!(seen(2000, &["a"]), first);
        assert_eq!(seen(3000, &[]), None);
        assert_ne!(seen(4000, &["a"]), first);
    }
}
