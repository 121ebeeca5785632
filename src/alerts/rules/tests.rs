use super::*;
use crate::db::{PoolStatus, RetryStatus, WriterStatus};
use crate::quantiles::Percentiles;

fn breaker(name: &str, state: &'static str) -> BreakerStatus {
    BreakerStatus {
        name: name.into(),
        state,
        since: crate::clock::from_epoch_ms(0),
        opened_at: None,
        cause: "the lock is held by another process".into(),
        retry_after: None,
        failure_rate: 0.0,
        slow_call_rate: 0.0,
        buffered_calls: 0,
        failed_calls: 0,
        not_permitted_calls: 3,
    }
}

fn database(name: &'static str) -> DatabaseStatus {
    let none = Percentiles::default();
    DatabaseStatus {
        name,
        size_bytes: 0,
        wal: Default::default(),
        locks: Vec::new(),
        pool: PoolStatus {
            max: 10,
            min: 1,
            limit: 10,
            open: 1,
            ..PoolStatus::default()
        },
        writer: WriterStatus {
            queued: 0,
            queued_bytes: 0,
            in_hand: 0,
            refused: 0,
            turned_away: 0,
            commits: 0,
            jobs: 0,
            batch_limit: 64,
            batch_size: none,
            commit_ms: none,
        },
        retries: RetryStatus {
            attempts: 0,
            gave_up: 0,
            budget_left: 100,
        },
        breakers: [breaker("read", "CLOSED"), breaker("write", "CLOSED")],
        probe: None,
        missing_commits: None,
        damage: None,
        reserve: crate::db::ReserveStatus {
            bytes: 0,
            missing: None,
        },
        disk_is_full: false,
    }
}

fn facts() -> Facts {
    let databases = [database("app"), database("events")];
    Facts {
        databases,
        events_lost: 0,
        events_spooled: 0,
        error_rate: 0.0,
        requests_last_minute: 0,
        retention: None,
    }
}

#[test]
fn a_quiet_system_has_no_alerts() {
    assert_eq!(rules(&facts()), []);
}

#[test]
fn an_open_breaker_is_critical_and_comes_first_with_its_cause() {
    let mut facts = facts();
    facts.events_spooled = 7;
    facts.databases[0].breakers[1] = breaker("app.write", "OPEN");
    let alerts = rules(&facts);
    assert_eq!(alerts[0].id, "breaker:app.write");
    assert_eq!(alerts[0].severity, Gravity::Critical);
    assert!(alerts[0].detail.contains("another process") && alerts[0].detail.contains('3'));
    assert_eq!(alerts[1].id, "spool");
}

#[test]
fn a_few_failures_on_a_quiet_day_are_not_a_rate() {
    let mut facts = facts();
    (facts.error_rate, facts.requests_last_minute) = (1.0, 19);
    assert_eq!(rules(&facts), []);
    facts.requests_last_minute = 20;
    assert_eq!(rules(&facts)[0].id, "error-rate");
}

#[test]
fn a_pool_is_worth_a_word_when_busy_and_an_alarm_when_callers_wait() {
    let mut facts = facts();
    facts.databases[0].pool.in_use = 8;
    assert_eq!(rules(&facts)[0].severity, Gravity::Low);
    facts.databases[0].pool.waiting = 1;
    assert_eq!(rules(&facts)[0].severity, Gravity::High);
}

#[test]
fn a_lost_event_is_never_silent() {
    let mut facts = facts();
    facts.events_lost = 1;
    assert_eq!(rules(&facts)[0].id, "event-loss");
}

#[test]
fn missing_commits_are_critical_and_say_where_the_log_is_kept() {
    let mut facts = facts();
    facts.databases[1].missing_commits = Some(crate::db::Gap {
        missing: crate::db::MissingCommits::Behind { expected: 9, found: 4 },
        found_at: crate::clock::from_epoch_ms(0),
        evidence: Some("19700101T000000Z-events".into()),
    });
    let alert = &rules(&facts)[0];
    assert_eq!(
        (&*alert.id, alert.severity),
        ("commits-missing:events", Gravity::Critical)
    );
    assert!(
        alert.detail.contains("5 to 9") && alert.detail.contains("evidence/19700101T000000Z-events"),
        "{}",
        alert.detail
    );
}

#[test]
fn a_log_that_is_not_within_its_bounds_is_told_with_what_to_do() {
    let problem = Some("the disk is low by 5 MiB, and events.db has given what it may".to_owned());
    let alerts = rules(&Facts {
        retention: problem,
        ..facts()
    });
    assert_eq!((alerts.len(), alerts[0].id.as_str()), (1, "retention"));
    assert!(alerts[0].detail.contains("5 MiB") && !alerts[0].runbook.is_empty());
}
