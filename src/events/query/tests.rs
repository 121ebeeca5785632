//! Tests of the queries: filters against a plain loop, paging under inserts, and that lists use an index.

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::group::Engine;
use crate::events::index::words::Field;
use crate::events::model::{ErrorType, Severity};
use crate::events::order::first_place;
use crate::events::store::{HOUR_MS, Prepared, insert};
use crate::events::{parse, schema};

mod cursors;
mod searches;
use searches::index_all;

const NOW: i64 = 1_750_000_000_000;

fn add(connection: &Connection, kind: &str, severity: &str, at_ms: i64) -> Uuid {
    let json = serde_json::json!({ "message": "m", "type": kind, "severity": severity,
        "timestamp": crate::clock::rfc3339_ms(from_epoch_ms(at_ms)) });
    let event = parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap();
    let id = event.id;
    insert(connection, &[Prepared::new(event)], &mut Engine::default()).unwrap();
    id
}

/// Events of random types, severities and times within eight hours, many at the same millisecond.
fn filled(seed: u64, count: u32) -> (Connection, Vec<(ErrorType, Severity, i64)>) {
    let connection = schema::connection();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    for _ in 0..count {
        let kind = ErrorType::ALL[random.usize(..4)];
        let severity = Severity::ALL[random.usize(..4)];
        let at = NOW - random.i64(0..160) * HOUR_MS / 20;
        add(&connection, kind.name(), severity.name(), at);
        rows.push((kind, severity, at));
    }
    (connection, rows)
}

fn random_filter(random: &mut fastrand::Rng) -> Filter {
    let mut filter = Filter::default();
    for kind in ErrorType::ALL.into_iter().filter(|_| random.u8(..3) == 0) {
        filter.types.push(kind);
    }
    for severity in Severity::ALL.into_iter().filter(|_| random.u8(..3) == 0) {
        filter.severities.push(severity);
    }
    filter.since_ms = random.bool().then(|| NOW - random.i64(0..9 * HOUR_MS));
    filter.until_ms = random.bool().then(|| NOW - random.i64(-1..9 * HOUR_MS));
    filter
}

fn matches(filter: &Filter, row: (ErrorType, Severity, i64)) -> bool {
    (filter.types.is_empty() || filter.types.contains(&row.0))
        && (filter.severities.is_empty() || filter.severities.contains(&row.1))
        && filter.since_ms.is_none_or(|since| row.2 >= since)
        && filter.until_ms.is_none_or(|until| row.2 < until)
}

fn request(filter: Filter, after: Option<Position>, limit: u32) -> List {
    List {
        filter,
        after,
        limit,
        count: true,
        histogram: false,
        now_ms: NOW,
    }
}

fn total(page: &Page) -> Option<u64> {
    page.tally.as_ref().map(|tally| tally.total)
}

#[test]
fn filters_and_counts_agree_with_a_plain_loop() {
    let (connection, rows) = filled(7, 400);
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..200 {
        let filter = random_filter(&mut random);
        let wanted = rows.iter().filter(|row| matches(&filter, **row)).count();
        let page = page(&connection, &request(filter.clone(), None, 500)).unwrap();
        assert_eq!(
            (page.events.len(), total(&page)),
            (wanted, Some(wanted as u64)),
            "{filter:?}"
        );
        assert!(
            page.events
                .iter()
                .all(|e| matches(&filter, (e.event.kind, e.event.severity, e.event.timestamp_ms)))
        );
        assert!(
            page.events
                .windows(2)
                .all(|w| w[0].event.timestamp_ms >= w[1].event.timestamp_ms)
        );
    }
}

#[test]
fn a_page_that_ends_the_list_has_no_next() {
    let (connection, _) = filled(5, 10);
    assert!(
        page(&connection, &request(Filter::default(), None, 10))
            .unwrap()
            .next
            .is_none()
    );
    assert!(
        page(&connection, &request(Filter::default(), None, 9))
            .unwrap()
            .next
            .is_some()
    );
}

#[test]
fn cursors_that_were_not_given_are_refused() {
    let position = Position(first_place(NOW) + 17);
    let text = position.to_string();
    assert_eq!(Position::parse(&text), Some(position));
    let negative = Position(first_place(-5) + 1);
    assert_eq!(Position::parse(&negative.to_string()), Some(negative));
    for wrong in [
        "",
        "x",
        &text[1..],
        &text.to_uppercase(),
        &text.replacen('0', "1", 1),
        "é".repeat(20).as_str(),
    ] {
        assert_eq!(Position::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn lists_read_an_index_and_never_sort_the_table() {
    let connection = schema::connection();
    let api = Filter {
        types: vec![ErrorType::Api],
        ..Filter::default()
    };
    let pairs = Filter {
        severities: vec![Severity::High, Severity::Critical],
        ..Filter::default()
    };
    let groups = Filter {
        groups: vec![1, 2],
        ..pairs.clone()
    };
    let many = Filter {
        groups: (1..=40).collect(),
        ..groups.clone()
    };
    let text = Filter {
        values: vec![(Field::Path, "/".to_owned())],
        ..groups.clone()
    };
    for (filter, index) in [
        (
            Filter::default(),
            "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (
            api,
            "SEARCH events USING COVERING INDEX events_by_kind (type=? AND severity=? AND rowid>? AND rowid<?)",
        ),
        (
            pairs,
            "SEARCH events USING COVERING INDEX events_by_kind (type=? AND severity=? AND rowid>? AND rowid<?)",
        ),
        (
            groups,
            "SEARCH events USING COVERING INDEX events_by_group (group_id=? AND rowid>? AND rowid<?)",
        ),
        (
            many,
            "SEARCH events USING COVERING INDEX events_by_group (group_id=? AND rowid>? AND rowid<?)",
        ),
        (text, "SCAN event_text VIRTUAL TABLE INDEX 64:M2<>"),
    ] {
        let meant = Meant::of(&connection, &filter).unwrap();
        let (sql, values) = Finder::new(&connection, &meant).unwrap().sql(0, NOW, 51);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let reads: Vec<_> = plan.iter().filter(|line| line.contains(" event")).collect();
        assert!(!reads.is_empty() && reads.iter().all(|line| *line == index), "{plan:?}");
        assert!(
            !plan
                .iter()
                .any(|line| line.contains("ORDER BY") && !index.contains("COVERING")),
            "{plan:?}"
        );
    }
}

#[test]
fn an_event_comes_back_as_it_went_in() {
    let connection = schema::connection();
    for user in ["42", "\"42\"", "\"é\""] {
        let json = format!(
            r#"{{"message":"m\u0000x","userId":{user},"details":{{"b":1,"a":[1.10]}},"tags":{{"k":"v"}},"ip":"127.0.0.1",
            "exception":{{"type":"T","frames":[{{"function":"f"}}]}},"fingerprint":["z"],"severity":"critical"}}"#
        );
        let sent = parse::event(&json, from_epoch_ms(NOW)).unwrap();
        insert(&connection, &[Prepared::new(sent.clone())], &mut Engine::default()).unwrap();
        let found = event(&connection, sent.id).unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&found.event).unwrap(),
            serde_json::to_string(&sent).unwrap()
        );
        let wire = serde_json::to_value(&found).unwrap();
        assert_eq!(wire["userId"].to_string(), user.to_owned());
        assert_eq!(wire["groupId"], "E-1");
        assert_eq!(
            (&wire["severity"], &wire["assessedSeverity"]),
            (&"critical".into(), &"medium".into())
        );
        assert_eq!(wire["timestamp"], "2025-06-15T15:06:40.000Z");
    }
    assert!(event(&connection, Uuid::nil()).unwrap().is_none());
}
