//! The shapes of the monitoring API as they are promised to clients, and a checker of answers against them.
//!
//! A shape is JSON itself: an object names the members that must be there (more may be), a list has one shape for all
//! its items, and a word names a type: `text`, `number`, `truth`, `time`, `id`, `any`; with `?` behind it, `null` too.

use serde_json::{Value, json};

/// Panics where `value` hasn't the shape.
#[track_caller]
pub fn check(value: &Value, shape: &Value) {
    let mut wrong = Vec::new();
    compare("", value, shape, &mut wrong);
    assert!(wrong.is_empty(), "{}\nin {value:#}", wrong.join("\n"));
}

fn compare(at: &str, value: &Value, shape: &Value, wrong: &mut Vec<String>) {
    match (value, shape) {
        (Value::Object(members), Value::Object(shapes)) => {
            for (name, shape) in shapes {
                match members.get(name) {
                    Some(value) => compare(&format!("{at}/{name}"), value, shape, wrong),
                    None => wrong.push(format!("{at}/{name} is missing")),
                }
            }
        }
        (Value::Array(items), Value::Array(shapes)) => {
            if items.is_empty() {
                wrong.push(format!("{at} is empty, so that its items can't be checked"));
            }
            for (index, item) in items.iter().enumerate() {
                compare(&format!("{at}/{index}"), item, &shapes[0], wrong);
            }
        }
        (value, Value::String(word)) if is_a(value, word) => {}
        _ => wrong.push(format!("{at} is {value}, not {shape}")),
    }
}

fn is_a(value: &Value, word: &str) -> bool {
    if let Some(word) = word.strip_suffix('?') {
        return value.is_null() || is_a(value, word);
    }
    let text = value.as_str();
    match word {
        "any" => true,
        "text" => value.is_string(),
        "number" => value.is_number(),
        "truth" => value.is_boolean(),
        "list" => value.is_array(),
        "time" => text.is_some_and(|t| t.len() == 24 && t.ends_with('Z') && t.parse::<jiff::Timestamp>().is_ok()),
        "id" => text.is_some_and(|t| t.len() == 36 && t.parse::<uuid::Uuid>().is_ok()),
        unknown => panic!("{unknown} is no type of a shape"),
    }
}

/// `GET /api/monitoring/health`, with authority, while something is wrong.
pub fn health() -> Value {
    let database = json!({ "status": "text", "responseMs": "number?", "checkedAt": "time?", "detail": "text?" });
    json!({
        "status": "text", "databaseHealthy": "truth", "since": "time", "version": "text", "uptimeSeconds": "number",
        "because": ["text"],
        "components": {
            "appDatabase": database, "eventsDatabase": database,
            "spool": { "status": "text", "events": "number", "bytes": "number" },
            "disk": { "status": "text", "freeBytes": "number" },
        },
        "circuitBreakers": [{ "name": "text", "state": "text", "isHealthy": "truth", "retryAt": "time?" }],
    })
}

/// `GET /api/monitoring/stats`.
pub fn stats() -> Value {
    let spread = json!({ "p50": "number", "p95": "number" });
    let database = json!({
        "healthy": "truth", "sizeBytes": "number", "walBytes": "number",
        "pool": {
            "max": "number", "min": "number", "limit": "number", "open": "number", "inUse": "number",
            "waiting": "number", "utilization": "number", "waitMs": spread, "timeouts": "number",
        },
        "writer": {
            "queued": "number", "queuedBytes": "number", "inHand": "number", "batchLimit": "number", "batchSize": spread, "commits": "number", "jobs": "number", "commitMs": spread,
        },
        "retries": { "attempts": "number", "gaveUp": "number", "budgetLeft": "number" },
    });
    json!({
        "uptimeSeconds": "number",
        "process": { "residentBytes": "number", "cpuSeconds": "number", "threads": "number", "openFiles": "number" },
        "requests": {
            "total": "number", "inFlight": "number", "perSecond": "number", "errorRate": "number", "slow": "number",
            "latencyMs": { "p50": "number", "p95": "number", "p99": "number" },
        },
        "errors": {
            "total": "number", "last24h": "number", "perMinute": "number", "byType": { "database": "number" },
            "bySeverity": { "critical": "number" }, "topGroups": "list",
        },
        "databases": { "app": database, "events": database },
        "ledger": {
            "accepted": "number", "stored": "number", "spooled": "number", "inFlight": "number",
            "dropped": { "rateLimited": "number", "spoolFull": "number" }, "balanced": "truth",
            "removed": {
                "age": "number", "count": "number", "bytes": "number", "disk": "number", "purge": "number", "erased": "number",
            },
        },
        "retention": {
            "bounds": {
                "maxDays": "number", "maxCount": "number", "maxBytes": "number", "maxDiskPercent": "number",
                "budgetBytes": "number?",
            },
            "use": { "walBytes": "number", "spoolBytes": "number", "evidenceBytes": "number" },
            "running": "truth", "nextLookAt": "time", "makesRoom": "truth", "unmet": "text?",
        },
        "disk": { "freeBytes": "number", "daysUntilFull": "number?" },
    })
}

/// `GET /api/monitoring/circuit-breaker`, after a change.
pub fn breakers() -> Value {
    json!({
        "circuitBreakers": [{
            "name": "text", "state": "text", "isHealthy": "truth", "failureRate": "number", "slowCallRate": "number",
            "bufferedCalls": "number", "failedCalls": "number", "notPermittedCalls": "number", "openedAt": "time?",
            "retryAt": "time?", "cause": "text?", "evidence": "list",
        }],
        "events": [{
            "name": "text", "type": "text", "from": "text", "to": "text", "at": "time", "cause": "text",
        }],
    })
}

/// An event with every member that a client may send.
pub fn full_event() -> Value {
    json!({
        "message": "it broke", "type": "api", "severity": "high", "details": { "a": [1] }, "userId": 42,
        "ip": "127.0.0.1", "path": "/checkout", "requestId": "r1", "source": "shop", "release": "1.4.2",
        "environment": "production", "tags": { "region": "north" }, "fingerprint": ["checkout"],
        "exception": { "type": "Oops", "value": "broke", "frames": [{ "file": "a.rs", "line": 3 }] },
    })
}

/// Such an event as it is shown.
pub fn event() -> Value {
    json!({
        "id": "id", "timestamp": "time", "type": "text", "severity": "text", "message": "text",
        "details": { "a": ["number"] }, "userId": "number", "ip": "text", "path": "text", "requestId": "text",
        "source": "text", "release": "text", "environment": "text", "tags": { "region": "text" },
        "exception": { "type": "text", "value": "text", "frames": ["any"] }, "fingerprint": ["text"],
        "groupId": "text", "retryable": "truth", "userMessage": "text", "suggestion": "text", "occurrences": "number",
    })
}
