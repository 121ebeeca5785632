//! Breakers as the API shows them (floor 3), with the events that are the evidence for their states.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::health::Monitor;
use crate::clock::rfc3339_ms;
use crate::db::breaker::Breaker;
use crate::db::{BreakerChange, BreakerStatus};

/// Evidence kept of each breaker.
const KEPT: usize = 5;

/// Ids of the error events that tell of each breaker's latest changes, newest first.
#[derive(Debug, Default)]
pub struct Evidence(Mutex<HashMap<String, VecDeque<Uuid>>>);

impl Evidence {
    /// An event tells of a change of this breaker.
    pub fn add(&self, breaker: &str, event: Uuid) {
        let mut all = self.0.lock();
        let kept = all.entry(breaker.to_owned()).or_default();
        kept.push_front(event);
        kept.truncate(KEPT);
    }

    /// The evidence for this breaker's state.
    pub fn of(&self, breaker: &str) -> Vec<Uuid> {
        self.0
            .lock()
            .get(breaker)
            .map(|kept| kept.iter().copied().collect())
            .unwrap_or_default()
    }
}

impl Monitor {
    fn all_breakers(&self) -> impl Iterator<Item = &std::sync::Arc<Breaker>> {
        [&self.app, &self.events]
            .into_iter()
            .flat_map(|database| database.breakers())
    }

    /// Every breaker, as the API shows it.
    pub fn breakers(&self) -> Vec<Value> {
        self.all_breakers()
            .map(|breaker| self.breaker_view(breaker.status()))
            .collect()
    }

    fn breaker_view(&self, status: BreakerStatus) -> Value {
        let is_healthy = status.is_healthy();
        json!({
            "name": status.name,
            "state": status.state,
            "isHealthy": is_healthy,
            "since": rfc3339_ms(status.since),
            "failureRate": status.failure_rate,
            "slowCallRate": status.slow_call_rate,
            "bufferedCalls": status.buffered_calls,
            "failedCalls": status.failed_calls,
            "notPermittedCalls": status.not_permitted_calls,
            "openedAt": (!is_healthy).then(|| rfc3339_ms(status.since)),
            "retryAt": status.retry_after.map(|after| rfc3339_ms(self.clock.wall() + after)),
            "cause": (!status.cause.is_empty()).then_some(&status.cause),
            "evidence": self.evidence.of(&status.name),
        })
    }

    /// The latest state changes of all breakers, newest first.
    pub fn breaker_changes(&self) -> Vec<Value> {
        let mut changes: Vec<_> = self.all_breakers().flat_map(|breaker| breaker.recent()).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        changes.into_iter().map(change_view).collect()
    }
}

fn change_view(change: BreakerChange) -> Value {
    json!({
        "name": change.name, "type": "STATE_TRANSITION", "from": change.from, "to": change.to,
        "at": rfc3339_ms(change.at), "cause": change.cause,
    })
}
