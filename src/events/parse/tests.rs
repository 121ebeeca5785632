//! Tests of the parser: good events keep every member, each kind of mistake is named.

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::model::UserId;

fn now() -> Timestamp {
    from_epoch_ms(1_750_000_000_000)
}

fn flaws(json: &str) -> Vec<(String, String)> {
    event(json, now())
        .expect_err("must be refused")
        .into_iter()
        .map(|f| (f.pointer, f.detail))
        .collect()
}

#[test]
fn a_message_is_enough() {
    let event = event(r#"{"message":"boom"}"#, now()).unwrap();
    assert_eq!(
        (event.kind, event.severity, event.assessed),
        (ErrorType::System, Severity::Low, Severity::Low)
    );
    assert_eq!(
        (event.timestamp_ms, event.received_ms),
        (1_750_000_000_000, 1_750_000_000_000)
    );
    assert_eq!(event.id.get_version_num(), 7);
    assert!(event.extras.is_empty());
}

#[test]
fn every_member_is_kept() {
    let json = r#"{"id":"0192F0C1A2B37C4D8E9F001122334455","timestamp":"2025-06-15T10:00:00.125+02:00","type":"database","severity":"low",
        "message":"m","details":{"code":"SQLITE_FULL", "n": 12345678901234567890123 },"userId":42,"ip":"::ffff:1.2.3.4","path":"/p",
        "requestId":"r","source":"shop","release":"1.0","environment":"prod","tags":{"a":"b"},
        "exception":{"type":"T","value":"v","frames":[{"module":"m","function":"f","file":"x.rs","line":3,"column":1,"inApp":false}]},
        "fingerprint":["a","{{ default }}"]}"#;
    let event = event(json, now()).unwrap();
    assert_eq!(event.id.to_string(), "0192f0c1-a2b3-7c4d-8e9f-001122334455");
    assert_eq!(event.timestamp_ms, 1_749_974_400_125);
    assert_eq!(
        (event.severity, event.assessed, event.class),
        (Severity::Low, Severity::Critical, Class::DiskFull)
    );
    assert_eq!(
        event.extras.details.as_ref().unwrap().get(),
        r#"{"code":"SQLITE_FULL","n":12345678901234567890123}"#
    );
    assert_eq!(event.user_id, Some(UserId::Number(42)));
    assert_eq!(event.extras.exception.as_ref().unwrap().frames[0].in_app, Some(false));
    assert_eq!(event.extras.fingerprint.len(), 2);

    let spooled: ErrorEvent = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
    assert_eq!(
        serde_json::to_string(&spooled).unwrap(),
        serde_json::to_string(&event).unwrap()
    );
}

#[test]
fn null_is_absent() {
    let event = event(
        r#"{"message":"m","id":null,"tags":null,"userId":null,"details":null}"#,
        now(),
    )
    .unwrap();
    assert!(event.user_id.is_none() && event.extras.is_empty());
}

#[test]
fn each_mistake_is_named() {
    for (json, pointer, detail) in [
        ("{}", "/message", "is required"),
        (r#"{"message":""}"#, "/message", "must not be empty"),
        (r#"{"message":7}"#, "/message", "must be a string"),
        (
            r#"{"message":"a\udc80"}"#,
            "/message",
            "has half of a surrogate pair, which is no character",
        ),
        (
            r#"{"message":"m","severity":"fatal"}"#,
            "/severity",
            "must be one of low, medium, high, critical",
        ),
        (
            r#"{"message":"m","type":1}"#,
            "/type",
            "must be one of database, socket, api, system",
        ),
        (
            r#"{"message":"m","id":"x"}"#,
            "/id",
            "must be a UUID, with dashes or as 32 hexadecimal digits",
        ),
        (
            r#"{"message":"m","userId":1.5}"#,
            "/userId",
            "must be a string or a whole number of at most 64 bits",
        ),
        (
            r#"{"message":"m","ip":"host"}"#,
            "/ip",
            "must be an IPv4 or IPv6 address",
        ),
        (r#"{"message":"m","tags":{"a/b":1}}"#, "/tags/a~1b", "must be a string"),
        (
            r#"{"message":"m","exception":{}}"#,
            "/exception",
            "must have a type or a value",
        ),
        (
            r#"{"message":"m","fingerprint":"x"}"#,
            "/fingerprint",
            "must be an array",
        ),
    ] {
        assert_eq!(flaws(json), [(pointer.to_owned(), detail.to_owned())], "{json}");
    }
    let unknown = flaws(r#"{"message":"m","levl":"x"}"#);
    assert!(unknown[0].0 == "/levl" && unknown[0].1.contains("allowed are id, timestamp"));
    let frame = flaws(r#"{"message":"m","exception":{"type":"T","frames":[{},{"lineno":3}]}}"#);
    assert_eq!(frame[0].0, "/exception/frames/1/lineno");
}

#[test]
fn all_mistakes_come_at_once() {
    assert_eq!(flaws(r#"{"type":"x","severity":"y"}"#).len(), 3);
}

#[test]
fn times_must_be_rfc3339_and_not_far_ahead() {
    assert!(
        flaws(r#"{"message":"m","timestamp":"yesterday"}"#)[0]
            .1
            .contains("RFC 3339")
    );
    assert!(
        flaws(r#"{"message":"m","timestamp":"2025-06-15T10:00:00"}"#)[0]
            .1
            .contains("RFC 3339")
    );
    assert!(
        flaws(r#"{"message":"m","timestamp":"2030-01-01T00:00:00Z"}"#)[0]
            .1
            .contains("24 hours ahead")
    );
    assert!(event(r#"{"message":"m","timestamp":"1999-01-01T00:00:00Z"}"#, now()).is_ok());
}

#[test]
fn sizes_are_bounded() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_MESSAGE_BYTES + 1));
    assert!(flaws(&long)[0].1.contains("at most 8192 bytes"));
    let huge = format!(r#"{{"message":"m","details":"{}"}}"#, "x".repeat(MAX_EVENT_BYTES));
    assert!(flaws(&huge)[0].1.contains("at most 1048576 bytes"));
    let deep = format!(r#"{{"message":"m","details":{}{}}}"#, "[".repeat(65), "]".repeat(65));
    assert!(flaws(&deep)[0].1.contains("64 levels"));
}

#[test]
fn other_json_and_repeated_members_are_refused() {
    assert!(flaws("[]")[0].1.contains("must be a JSON object"));
    assert!(flaws(r#"{"message":"a","message":"b"}"#)[0].1.contains("repeated"));
    assert!(flaws(r#"{"message":"#)[0].1.contains("not valid JSON"));
}

#[test]
fn bodies_are_split_into_items() {
    assert_eq!(array_items(" [{\"a\":1}, 2 ] ").unwrap(), ["{\"a\":1}", "2"]);
    assert!(matches!(array_items("[1,"), Err(Unreadable::Malformed(_))));
    assert_eq!(ndjson_items(b"{}\r\n\n  \n{\n").unwrap(), [Ok("{}"), Ok("{")]);
    assert_eq!(single_item(" {} ").unwrap(), "{}");
    let many = "{}\n".repeat(MAX_ITEMS + 1);
    assert_eq!(ndjson_items(many.as_bytes()), Err(Unreadable::TooMany(MAX_ITEMS + 1)));
}

#[test]
fn what_surrounded_an_error_is_kept_member_by_member() {
    let sent = r#"{"message":"m","exception":{"type":"E","module":"shop","handled":false,"frames":[
        {"file":"a.py","absPath":"/srv/a.py","line":3,"context":{"before":[""],"line":"x()","after":[]}}]},
        "causes":[{"value":"nearest"},{"type":"Root"}],
        "breadcrumbs":[{"timestamp":"2025-06-15T10:00:00+02:00","type":"http","message":"GET /","data":{"a": 1}}],
        "request":{"method":"GET","url":"http://h/p?q=1","headers":{"Accept":""}},
        "user":{"id":42,"email":"a@b","username":"a","ip":"::1"}}"#;
    let event = event(sent, from_epoch_ms(1_750_000_000_000)).unwrap();
    let extras = &event.extras;
    assert_eq!(event.user_id, Some(UserId::Number(42)));
    assert_eq!(extras.causes[1].kind.as_deref(), Some("Root"));
    let stored: Extras = serde_json::from_str(&serde_json::to_string(extras).unwrap()).unwrap();
    assert_eq!(stored.exception, extras.exception);
    assert_eq!((&stored.request, &stored.user), (&extras.request, &extras.user));
    let crumb = serde_json::to_value(&stored.breadcrumbs[0]).unwrap();
    let expected =
        serde_json::json!({"timestamp":"2025-06-15T08:00:00.000Z","type":"http","message":"GET /","data":{"a":1}});
    assert_eq!(crumb, expected);
}

#[test]
fn what_is_wrong_with_the_surroundings_is_named() {
    for (member, pointer) in [
        (r#""causes":[{}]"#, "/causes/0"),
        (
            r#""causes":[{"type":"E","frames":[{"line":-1}]}]"#,
            "/causes/0/frames/0/line",
        ),
        (r#""breadcrumbs":[{"when":1}]"#, "/breadcrumbs/0/when"),
        (r#""breadcrumbs":[{"timestamp":1}]"#, "/breadcrumbs/0/timestamp"),
        (r#""request":{"headers":{"Cookie":"a=b"}}"#, "/request/headers/Cookie"),
        (r#""user":{"ip":"here"}"#, "/user/ip"),
        (r#""user":{"name":"a"}"#, "/user/name"),
        (
            r#""exception":{"type":"E","frames":[{"context":{"line":1}}]}"#,
            "/exception/frames/0/context/line",
        ),
    ] {
        let flaws = event(&format!("{{\"message\":\"m\",{member}}}"), from_epoch_ms(0)).unwrap_err();
        assert_eq!(flaws[0].pointer, pointer, "{flaws:?}");
    }
}

#[test]
fn an_object_of_very_many_members_is_read_in_one_pass() {
    let many: Vec<String> = (0..80_000).map(|n| format!("\"m{n}\":1")).collect();
    let sent = format!("{{\"message\":\"m\",\"details\":{{{}}}}}", many.join(","));
    assert!(event(&sent, now()).is_ok());
    let twice = format!("{{{},\"m7\":1}}", many.join(","));
    assert_eq!(flaws(&twice)[0].1, "must be a JSON object without repeated members");
}
