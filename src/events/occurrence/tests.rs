//! Tests of Mainstay's own events: severity by code, one group for one cause.

use super::*;
use crate::clock::from_epoch_ms;
use crate::db::{BreakerChange, DbError, ErrorKind};
use crate::events::group::scan;

fn change(to: &'static str) -> BreakerChange {
    BreakerChange {
        name: "events.write".to_owned(),
        from: "CLOSED",
        to,
        cause: "lock held by another process".to_owned(),
        retry_after: Some(Duration::from_secs(30)),
        at: from_epoch_ms(1000),
        origin: None,
    }
}

#[test]
fn a_breakers_change_tells_cause_and_time_to_retry() {
    let event = NewEvent::breaker_change(&change("OPEN"), &[]).complete(from_epoch_ms(5));
    assert_eq!(
        (event.kind, event.severity, event.timestamp_ms),
        (ErrorType::Database, Severity::High, 5)
    );
    let details: serde_json::Value = serde_json::from_str(event.extras.details.unwrap().get()).unwrap();
    assert_eq!(details["retryAt"], "1970-01-01T00:00:31.000Z");
    assert_eq!(NewEvent::breaker_change(&change("CLOSED"), &[]).severity, Severity::Low);
    assert_eq!(
        NewEvent::breaker_change(&change("ISOLATED"), &[]).severity,
        Severity::Critical
    );
}

#[test]
fn one_cause_is_one_group_whatever_the_message_says() {
    let context = |n: u32| EventContext {
        request_id: Some(n.to_string()),
        ..EventContext::default()
    };
    let error = |detail: &str| {
        DbError::new("app", "documents.put", ErrorKind::Sqlite { code: 5 }).with_detail(detail.to_owned())
    };
    let key = |new: NewEvent| scan(&new.complete(from_epoch_ms(5)));
    let first = key(NewEvent::from_db_error(&error("one way to say it"), context(1)));
    assert_eq!(first, key(NewEvent::from_db_error(&error("another"), context(2))));
    let full = DbError::new("app", "documents.put", ErrorKind::Sqlite { code: 13 });
    assert_ne!(first, key(NewEvent::from_db_error(&full, context(1))));
}

#[test]
fn database_errors_have_the_severity_of_their_code() {
    let of = |code| {
        NewEvent::from_db_error(
            &DbError::new("app", "x", ErrorKind::Sqlite { code }),
            EventContext::default(),
        )
    };
    assert_eq!((of(13).severity, of(13).class), (Severity::Critical, Class::DiskFull));
    assert_eq!((of(5).severity, of(5).class), (Severity::High, Class::LockContention));
    assert_eq!((of(2067).severity, of(2067).class), (Severity::Low, Class::Validation));
}

#[test]
fn a_panic_has_its_place_and_long_messages_are_cut_at_a_character() {
    let event = NewEvent::panic(&"é".repeat(9000), "src/x.rs:7:9", EventContext::default()).complete(from_epoch_ms(5));
    assert!(event.message.len() <= MAX_MESSAGE_BYTES && event.message.starts_with("panicked at src/x.rs:7:9: é"));
    let frame = &event.extras.exception.unwrap().frames[0];
    assert_eq!((frame.file.as_deref(), frame.line), (Some("src/x.rs"), Some(7)));
}
