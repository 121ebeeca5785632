//! Tests of what an envelope holds: framing, items that are not events, feedback.

use super::*;

#[test]
fn an_envelope_is_taken_apart_item_by_item() {
    let event = br#"{"event_id":"00000000000000000000000000000001","message":"m"}"#;
    let attachment = b"\x00\n{\"type\":\"event\"}\n\xff";
    let body = [
        format!("{{\"event_id\":\"{ID}\",\"dsn\":\"http://k@h/1\"}}\r\n").as_bytes(),
        b"{\"type\":\"event\"}\n",
        event,
        b"\n\n{}\n{}\n",
        format!("{{\"type\":\"attachment\",\"length\":{}}}\n", attachment.len()).as_bytes(),
        attachment,
        b"\n{\"type\":\"client_report\"}\n{\"discarded_events\":[{\"reason\":\"queue_full\",\"quantity\":3},{},",
        b"{\"reason\":\"r\",\"category\":\"span\",\"quantity\":1}]}\n",
        b"{\"type\":\"event\",\"length\":15}\n{\"message\":\"n\"}",
    ]
    .concat();
    let report = envelope(&body, &arrival()).unwrap();
    assert_eq!(report.id.unwrap().simple().to_string(), ID);
    let messages: Vec<&str> = report.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["m", "n"]);
    assert_eq!(report.events[0].id, report.id.unwrap());
    assert_ne!(report.events[1].id, report.events[0].id);
    assert_eq!(
        report.discarded,
        [("queue_full".to_owned(), 3), ("r.span".to_owned(), 1)]
    );
    assert_eq!(report.skipped, ["", "attachment"]);
    assert_eq!(dsn_of_envelope(&body).as_deref(), Some("http://k@h/1"));
}

#[test]
fn empty_and_broken_envelopes() {
    let empty = envelope(b"{}", &arrival()).unwrap();
    assert!(empty.events.is_empty() && empty.id.is_none());
    for broken in [
        &b""[..],
        b"[]\n",
        b"{}\nno header\n",
        b"{}\n{\"type\":\"event\",\"length\":9}\n{}",
        b"{}\n{\"type\":\"event\"}\n3",
    ] {
        assert!(
            matches!(envelope(broken, &arrival()), Err(Unusable::Malformed(_))),
            "{broken:?}"
        );
    }
    // What came whole before the break is kept.
    let kept = envelope(
        b"{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\nno header\n",
        &arrival(),
    )
    .unwrap();
    assert_eq!(kept.events.len(), 1);
    let many = ["{}\n", &"{}\n{}\n".repeat(MAX_ITEMS + 1)].concat();
    assert!(matches!(
        envelope(many.as_bytes(), &arrival()),
        Err(Unusable::TooLarge(_))
    ));
    let large = format!("{{\"message\":\"{}\"}}", "x".repeat(MAX_EVENT_BYTES));
    assert!(matches!(
        store(large.as_bytes(), &arrival()),
        Err(Unusable::TooLarge(_))
    ));
}

#[test]
fn feedback_is_an_event_of_low_severity() {
    let feedback = json!({ "contexts": { "feedback": { "message": "it broke", "contact_email": "a@b", "name": "Ann",
        "associated_event_id": ID, "url": "https://shop.example.com/pay" } } });
    let report = json!({ "event_id": ID, "comments": "it broke", "email": "a@b", "name": "Ann" });
    for (kind, payload) in [("feedback", feedback), ("user_report", report)] {
        let body = format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"{kind}\"}}\n{payload}\n");
        let report = envelope(body.as_bytes(), &arrival()).unwrap();
        let event = &report.events[0];
        assert_eq!(
            (event.severity, event.message.as_str()),
            (Severity::Low, "it broke"),
            "{kind}"
        );
        assert_eq!(event.extras.user.as_ref().unwrap().username.as_deref(), Some("Ann"));
        assert_eq!(event.extras.tags["aboutEvent"].replace('-', ""), ID);
        assert_eq!(event.id.simple().to_string() == ID, kind == "feedback");
        let details = event.extras.details.as_ref().map(|details| details.get());
        let where_written = r#"{"contexts":{"feedback":{"url":"https://shop.example.com/pay"}}}"#;
        assert_eq!(details, (kind == "feedback").then_some(where_written));
    }
}
