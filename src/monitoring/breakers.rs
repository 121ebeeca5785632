//! Breakers as the API shows them (floor 3), with the events that are the evidence for their states.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::health::Monitor;
use crate::clock::rfc3339_ms;
use crate::db::breaker::Breaker;
use crate::db::{BreakerChange, BreakerStatus};

/// Evidence kept of each breaker.
const KEPT: usize = 10;
/// A failure longer ago than this doesn't explain a state.
const RELEVANT: Duration = Duration::from_secs(600);

/// Ids of the error events that explain each breaker's state: the failures before it opened and the change itself,
/// newest first. A breaker that has closed again needs none.
#[derive(Debug, Default)]
pub struct Evidence(Mutex<HashMap<String, VecDeque<(Instant, Uuid)>>>);

impl Evidence {
    /// An event explains this breaker's state.
    pub fn add(&self, breaker: &str, event: Uuid, now: Instant) {
        let mut all = self.0.lock();
        let kept = all.entry(breaker.to_owned()).or_default();
        kept.retain(|(at, _)| now.saturating_duration_since(*at) < RELEVANT);
        kept.push_front((now, event));
        kept.truncate(KEPT);
    }

    /// The breaker has closed.
    pub fn clear(&self, breaker: &str) {
        self.0.lock().remove(breaker);
    }

    /// The evidence for this breaker's state.
    pub fn of(&self, breaker: &str) -> Vec<Uuid> {
        self.0
            .lock()
            .get(breaker)
            .map(|kept| kept.iter().map(|(_, id)| *id).collect())
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
            "openedAt": status.opened_at.map(rfc3339_ms),
            "retryAt": status.retry_after.map(|after| rfc3339_ms(self.clock.wall() + after)),
            "cause": (!status.cause.is_empty()).then_some(&status.cause),
            "evidence": if is_healthy { Vec::new() } else { self.evidence.of(&status.name) },
        })
    }

    /// Brings what was set by hand to the disk; see [`crate::db::Database::keep_breakers_now`].
    pub async fn keep_breakers(&self) {
        tokio::join!(self.app.keep_breakers_now(), self.events.keep_breakers_now());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_recent_bounded_and_gone_when_the_breaker_closes() {
        let start = Instant::now();
        let evidence = Evidence::default();
        let ids: Vec<_> = (0..12).map(|_| Uuid::new_v4()).collect();
        evidence.add("app.write", ids[0], start);
        assert_eq!(evidence.of("app.write"), [ids[0]]);
        for id in &ids[1..] {
            evidence.add("app.write", *id, start + RELEVANT);
        }
        let kept = evidence.of("app.write");
        assert_eq!((kept.len(), kept[0]), (KEPT, ids[11]));
        assert!(!kept.contains(&ids[0]), "too long ago");
        assert!(evidence.of("app.read").is_empty());
        evidence.clear("app.write");
        assert!(evidence.of("app.write").is_empty());
    }
}
