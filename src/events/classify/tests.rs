//! Tests of the classification: the table of the design, and codes before types.

use super::*;
use crate::db::{DbError, ErrorKind};

#[test]
fn the_designs_table_holds() {
    for (class, severity) in [
        (Class::ResourcesExhausted, Severity::Critical),
        (Class::AuthenticationFailed, Severity::Critical),
        (Class::DiskFull, Severity::Critical),
        (Class::Corruption, Severity::Critical),
        (Class::Timeout, Severity::High),
        (Class::ConnectionLost, Severity::High),
        (Class::LockContention, Severity::High),
        (Class::Panic, Severity::High),
        (Class::DatabaseError, Severity::Medium),
        (Class::Validation, Severity::Medium),
        (Class::Informational, Severity::Low),
    ] {
        assert_eq!(class.advice().severity, severity, "{class:?}");
    }
}

#[test]
fn numbers_and_classes_are_the_same_list() {
    for (number, class) in Class::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(class.number()), number);
        assert_eq!(Class::from_number(class.number()), class);
        assert_eq!(Class::from_name(class.name()), Some(class));
        assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        assert!(class.advice().user_message.ends_with('.') && class.advice().suggestion.ends_with('.'));
    }
}

#[test]
fn a_code_decides_before_the_type() {
    for (code, class) in [
        ("SQLITE_FULL", Class::DiskFull),
        ("SQLITE_BUSY_SNAPSHOT", Class::LockContention),
        ("SQLITE_CONSTRAINT_UNIQUE", Class::Validation),
        ("SQLITE_CORRUPT", Class::Corruption),
        ("ECONNRESET", Class::ConnectionLost),
        ("ETIMEDOUT", Class::Timeout),
        ("ENOSPC", Class::DiskFull),
        ("53300", Class::ResourcesExhausted),
        ("28P01", Class::AuthenticationFailed),
        ("08006", Class::ConnectionLost),
        ("57014", Class::Timeout),
    ] {
        assert_eq!(class_of_report(ErrorType::System, Some(code), None), class, "{code}");
    }
}

#[test]
fn without_a_known_code_the_exception_then_the_type_decide() {
    assert_eq!(
        class_of_report(ErrorType::Api, Some("E_WHATEVER"), Some("asyncio.TimeoutError")),
        Class::Timeout
    );
    assert_eq!(
        class_of_report(ErrorType::Database, Some("42P01"), None),
        Class::DatabaseError
    );
    assert_eq!(class_of_report(ErrorType::Socket, None, None), Class::SocketError);
    assert_eq!(
        class_of_report(ErrorType::System, None, Some("KeyError")),
        Class::ProgramError
    );
    assert_eq!(class_of_report(ErrorType::System, None, None), Class::Informational);
}

#[test]
fn our_own_database_errors_have_their_class_by_code() {
    let of = |kind| class_of_db_error(&DbError::new("app", "documents.put", kind));
    assert_eq!(of(ErrorKind::Sqlite { code: 5 }), Class::LockContention);
    assert_eq!(of(ErrorKind::Sqlite { code: 13 }), Class::DiskFull);
    assert_eq!(of(ErrorKind::Sqlite { code: 267 }), Class::Corruption);
    assert_eq!(of(ErrorKind::Sqlite { code: 8 }), Class::ReadOnly);
    assert_eq!(of(ErrorKind::Sqlite { code: 2067 }), Class::Validation);
    assert_eq!(of(ErrorKind::Sqlite { code: 1 }), Class::DatabaseError);
    assert_eq!(
        of(ErrorKind::PoolTimeout { at_ceiling: true }),
        Class::ResourcesExhausted
    );
    assert_eq!(of(ErrorKind::DeadlineExceeded), Class::Timeout);
}
