//! Tests of the Sentry mapping: shapes that the SDKs really send, and shapes that nobody should.

use serde_json::json;

use super::super::parse;
use super::*;
use crate::clock::from_epoch_ms;
use crate::events::model::{ErrorType, Severity, UserId};

mod envelopes;

const NOW: i64 = 1_750_000_000_000;
const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

fn arrival() -> Arrival {
    Arrival {
        now: from_epoch_ms(NOW),
        source: "shop".into(),
        peer: Some("192.0.2.7".into()),
    }
}

fn event_of(sent: &Value) -> ErrorEvent {
    store(sent.to_string().as_bytes(), &arrival()).unwrap().events.remove(0)
}

fn details_of(event: &ErrorEvent) -> Value {
    let details = event.extras.details.as_ref().expect("details");
    serde_json::from_str(details.get()).unwrap()
}

#[test]
fn an_exception_with_its_causes_is_mapped() {
    let frame = |file: &str, in_app: bool| {
        json!({ "filename": file, "abs_path": format!("/srv/{file}"), "function": "pay", "module": "shop", "lineno": 7,
            "colno": 3, "in_app": in_app, "pre_context": ["a"], "context_line": "b", "post_context": ["c"], "vars": {} })
    };
    let event = event_of(&json!({
        "event_id": ID, "level": "fatal", "timestamp": 1_749_999_999.5, "platform": "python", "release": "1.4.2",
        "environment": "production", "server_name": "box", "logger": "shop.pay", "transaction": "shop.views.pay",
        "exception": { "values": [
            { "type": "OSError", "value": "disk" },
            { "type": "ValueError", "value": "no price", "module": "builtins", "mechanism": { "handled": false },
              "stacktrace": { "frames": [frame("main.py", true), frame("shop.py", true), frame("lib.py", false)] } },
        ] },
        "tags": [["a", "1"], ["b", 2]], "fingerprint": ["{{default}}", "x"],
        "user": { "id": 42, "email": "a@example.com", "ip_address": "{{auto}}", "username": "ann" },
        "request": { "method": "POST", "url": "http://shop/pay", "query_string": "a=1",
            "headers": [["Cookie", "s=1"], ["X-Request-Id", "r-1"], ["Accept", ["a", "b"]]], "cookies": { "s": "1" } },
        "breadcrumbs": { "values": [{ "timestamp": 1_749_999_990, "category": "q", "message": "SELECT", "data": { "n": 1 } }] },
        "contexts": { "trace": { "trace_id": "t", "span_id": "s" }, "runtime": { "name": "CPython" } },
        "extra": { "cart": [1, 2] }, "sdk": { "name": "sentry.python", "version": "2.75.0" }, "modules": { "a": "1" },
    }));
    assert_eq!(
        (event.id.simple().to_string().as_str(), event.timestamp_ms),
        (ID, NOW - 500)
    );
    assert_eq!((event.severity, event.kind), (Severity::Critical, ErrorType::System));
    assert_eq!(event.message, "ValueError: no price");
    assert_eq!(
        (event.path.as_deref(), event.request_id.as_deref()),
        (Some("/pay"), Some("r-1"))
    );
    assert_eq!(
        (event.user_id.clone(), event.ip.as_deref()),
        (Some(UserId::Number(42)), Some("192.0.2.7"))
    );
    assert_eq!(
        (event.source.as_deref(), event.release.as_deref()),
        (Some("shop"), Some("1.4.2"))
    );
    let extras = &event.extras;
    let thrown = extras.exception.as_ref().unwrap();
    assert_eq!(
        (thrown.kind.as_deref(), thrown.handled, thrown.frames.len()),
        (Some("ValueError"), Some(false), 3)
    );
    assert_eq!(
        crate::events::context::culprit(thrown).as_deref(),
        Some("pay (shop.py:7)")
    );
    let lines = thrown.frames[0].context.as_ref().unwrap();
    assert_eq!(
        (lines.before[0].as_str(), lines.line.as_str(), lines.after[0].as_str()),
        ("a", "b", "c")
    );
    assert_eq!(extras.causes[0].kind.as_deref(), Some("OSError"));
    assert_eq!(extras.fingerprint, ["{{ default }}", "x"]);
    assert_eq!((extras.tags["a"].as_str(), extras.tags["b"].as_str()), ("1", "2"));
    let request = extras.request.as_ref().unwrap();
    assert_eq!(request.url.as_deref(), Some("http://shop/pay?a=1"));
    assert_eq!((request.headers.len(), request.headers["Accept"].as_str()), (2, "a, b"));
    assert_eq!(
        extras.breadcrumbs[0].timestamp.as_deref(),
        Some("2025-06-15T15:06:30.000Z")
    );
    let details = details_of(&event);
    assert_eq!(
        (&details["serverName"], &details["trace"]),
        (&json!("box"), &json!({ "traceId": "t", "spanId": "s" }))
    );
    assert_eq!(
        (&details["extra"]["cart"], &details["contexts"]["runtime"]["name"]),
        (&json!([1, 2]), &json!("CPython"))
    );
    assert!(details.get("_dropped").is_none(), "{details}");
}

#[test]
fn messages_come_from_where_there_is_one() {
    for (sent, expected) in [
        (json!({ "message": "m" }), "m"),
        (json!({ "message": { "formatted": "m 1" } }), "m 1"),
        (
            json!({ "logentry": { "message": "m %s of %d%", "params": ["a", 2] } }),
            "m a of 2%",
        ),
        (
            json!({ "logentry": { "message": "{} {} {}", "params": ["a", 2] } }),
            "a 2 {}",
        ),
        (
            json!({ "logentry": { "message": "m %(who)s", "params": { "who": "a" } } }),
            "m a",
        ),
        (
            json!({ "message": "m %s", "sentry.interfaces.Message": { "message": "m %s", "params": ["a"] } }),
            "m a",
        ),
        (json!({ "exception": { "type": "E" } }), "E"),
        (json!({ "transaction": "GET /x" }), "GET /x"),
        (json!({}), "(no message)"),
    ] {
        assert_eq!(event_of(&sent).message, expected, "{sent}");
    }
    assert_eq!(
        event_of(&json!({ "transaction": "GET /x" })).path.as_deref(),
        Some("/x")
    );
}

#[test]
fn a_template_that_repeats_its_parameter_stays_small() {
    let params = json!({ "a": "x".repeat(500_000), "b": "{a}".repeat(100_000) });
    let sent = json!({ "logentry": { "message": "{b}{a}".repeat(1000), "params": params } });
    let message = event_of(&sent).message;
    assert!(message.len() <= parse::MAX_MESSAGE_BYTES && message.ends_with("…[cut]"));
}

#[test]
fn levels_are_severities_and_modules_are_evidence() {
    for (level, severity) in [
        ("fatal", Severity::Critical),
        ("error", Severity::High),
        ("warning", Severity::Medium),
        ("info", Severity::Low),
        ("debug", Severity::Low),
    ] {
        assert_eq!(event_of(&json!({ "level": level })).severity, severity);
    }
    for (level, severity) in [
        (50, Severity::Critical),
        (40, Severity::High),
        (30, Severity::Medium),
        (10, Severity::Low),
    ] {
        assert_eq!(event_of(&json!({ "level": level })).severity, severity);
    }
    for (module, name, kind) in [
        ("sqlite3", "OperationalError", ErrorType::Database),
        ("builtins", "ConnectionRefusedError", ErrorType::Socket),
        ("builtins", "KeyError", ErrorType::System),
    ] {
        let thrown = json!({ "exception": [{ "type": name, "module": module }] });
        assert_eq!(event_of(&thrown).kind, kind, "{name}");
    }
}

#[test]
fn odd_members_are_left_out_and_named() {
    let event = event_of(&json!({
        "event_id": 7, "level": "loud", "timestamp": "soon", "tags": "a", "fingerprint": "x", "user": "ann",
        "request": 3, "exception": 4, "breadcrumbs": "b", "release": { "a": 1 }, "message": ["m"], "odd": 1,
        "extra": { "long": "x".repeat(20_000) }, "environment": "e".repeat(200),
    }));
    let details = details_of(&event);
    let named: Vec<&str> = details["_dropped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for name in [
        "level",
        "timestamp",
        "tags",
        "fingerprint",
        "user",
        "request",
        "exception",
        "breadcrumbs",
        "release",
        "message",
        "odd",
        "extra",
        "environment",
    ] {
        assert!(named.contains(&name), "{name} in {named:?}");
    }
    let environment = event.environment.unwrap();
    assert!(environment.ends_with("…[cut]") && environment.len() <= 128);
    assert_eq!(event.timestamp_ms, NOW);
}

#[test]
fn what_is_too_many_is_bounded() {
    let crumbs: Vec<Value> = (0..300).map(|n| json!({ "message": n.to_string() })).collect();
    let thrown: Vec<Value> = (0..40).map(|n| json!({ "type": n.to_string() })).collect();
    let frames: Vec<Value> = (0..600).map(|n| json!({ "lineno": n })).collect();
    let mut deep = json!("end");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let mut sent = json!({ "breadcrumbs": crumbs, "exception": thrown, "extra": { "deep": deep } });
    sent["exception"][39]["stacktrace"] = json!({ "frames": frames });
    let extras = event_of(&sent).extras;
    assert_eq!((extras.breadcrumbs.len(), extras.causes.len()), (100, 16));
    assert_eq!(extras.breadcrumbs[99].message.as_deref(), Some("299"));
    let thrown = extras.exception.unwrap();
    assert_eq!((thrown.frames.len(), thrown.frames[249].line), (250, Some(599)));
    assert!(extras.details.unwrap().get().len() < 1000);
}

#[test]
fn half_a_character_does_not_cost_the_event() {
    let event = store(b"{\"message\":\"a\\ud800 \\ud83d\\ude00 \\\\ud800 \xff\"}", &arrival()).unwrap();
    assert_eq!(event.events[0].message, "a\u{fffd} \u{1f600} \\ud800 \u{fffd}");
    assert!(store(b"{\"message\":\"a\\", &arrival()).is_err());
}
