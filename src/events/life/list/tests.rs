//! The list of groups: both ways to it give the same, pages hold everything once, every order has its index.

use serde_json::json;

use super::*;
use crate::events::life::Act;
use crate::events::life::acts::perform;
use crate::events::life::tests::{Log, NOW};
use crate::events::model::{ErrorType, Severity};

const SORTS: [&str; 10] = [
    "lastSeen",
    "-lastSeen",
    "firstSeen",
    "-firstSeen",
    "count",
    "-count",
    "severity",
    "-severity",
    "users",
    "-users",
];

fn list(sort: &str) -> List {
    List {
        filter: Filter::default(),
        sort: Sort::from_name(sort).unwrap(),
        after: None,
        limit: 500,
        count: true,
        now_ms: NOW,
    }
}

fn ids(page: &Page) -> Vec<String> {
    let id = |group| serde_json::to_value(group).unwrap()["id"].as_str().unwrap().to_owned();
    page.groups.iter().map(id).collect()
}

/// Groups of different words, types, severities, sources, releases and states.
fn filled() -> Log {
    let log = Log::new();
    let letters = |mut number: usize| {
        let mut word = String::from("w");
        loop {
            word.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
            number /= 26;
            if number == 0 {
                return word;
            }
        }
    };
    for number in 0..120 {
        log.pass(7);
        let events: Vec<_> = (0..=number % 4)
            .map(|user| {
                json!({
                    "message": format!("{} {}", letters(number), if number % 3 == 0 { "lost" } else { "found" }),
                    "type": ErrorType::ALL[number % 4].name(), "severity": Severity::ALL[number / 4 % 4].name(),
                    "source": format!("s{}", number % 5), "release": format!("1.{}.0", number % 7), "userId": user,
                    "fingerprint": [number.to_string()],
                })
            })
            .collect();
        let group = log.store(&events)[0];
        let act = match number % 6 {
            1 => Act::Resolve(None),
            2 => Act::Mute {
                until_ms: None,
                more: None,
            },
            3 => Act::Mute {
                until_ms: Some(NOW + 100),
                more: None,
            },
            4 => Act::Mute {
                until_ms: Some(NOW + 1_000_000),
                more: None,
            },
            _ => continue,
        };
        perform(&log.c, group, &act, &log.by()).unwrap();
    }
    log
}

#[test]
fn pages_hold_every_group_once_in_every_order() {
    let log = filled();
    for sort in SORTS {
        for statuses in [
            vec![],
            vec![GroupStatus::Unresolved],
            vec![GroupStatus::Muted, GroupStatus::Resolved],
        ] {
            let mut whole = list(sort);
            whole.now_ms = log.now.get();
            whole.filter.statuses = statuses;
            let all = page(&log.c, &whole).unwrap();
            let (total, at_least) = all.total.unwrap();
            assert_eq!((total, at_least), (all.groups.len() as u64, false));
            let mut paged = whole.clone();
            paged.limit = 7;
            let mut seen = Vec::new();
            loop {
                let part = page(&log.c, &paged).unwrap();
                seen.extend(ids(&part));
                let Some(next) = part.next else { break };
                paged.after = Some(After::parse(&next.to_string(), paged.sort).unwrap());
            }
            assert_eq!(seen, ids(&all), "{sort}");
        }
    }
}

#[test]
fn both_ways_give_the_same_list() {
    let log = filled();
    let mut filters = Vec::new();
    for text in [
        "lost",
        "-lost",
        "fou*",
        "wb found",
        "severity:high lost",
        "source:s1",
        "release:1.3.0",
        "source:s1 found -wb",
    ] {
        let mut filter = Filter::default();
        crate::events::query::search::compile(text, &mut filter).unwrap();
        filters.push((text, filter));
    }
    let regressed = Filter {
        statuses: vec![GroupStatus::Regressed],
        ..Filter::default()
    };
    filters.push(("regressed", regressed));
    perform(&log.c, 1, &Act::Resolve(None), &log.by()).unwrap();
    log.store(&[json!({ "message": "again", "type": "database", "source": "s0", "fingerprint": ["0"] })]);
    for (text, filter) in filters {
        for sort in SORTS {
            let asked = List {
                filter: filter.clone(),
                now_ms: log.now.get(),
                ..list(sort)
            };
            let by_index = page(&log.c, &asked).unwrap();
            let mut walk = Search::new(&log.c, &asked).unwrap();
            walk.few = None;
            let (rows, _) = walk.rows(500).unwrap();
            let walked: Vec<String> = rows.iter().map(|row| format!("E-{}", row.id)).collect();
            assert_eq!(ids(&by_index), walked, "{text} {sort}");
            assert!(!walked.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_mute_that_is_over_is_listed_as_unresolved() {
    let log = filled();
    log.now.set(NOW + 10_000);
    let of = |status| {
        let mut asked = list("-lastSeen");
        (asked.filter.statuses, asked.now_ms) = (vec![status], log.now.get());
        page(&log.c, &asked).unwrap()
    };
    let (open, muted) = (of(GroupStatus::Unresolved), of(GroupStatus::Muted));
    assert_eq!(
        (
            open.groups.len(),
            muted.groups.len(),
            of(GroupStatus::Resolved).groups.len()
        ),
        (60, 40, 20)
    );
    assert_eq!((open.total, muted.total), (Some((60, false)), Some((40, false))));
}

#[test]
fn the_time_of_the_last_event_is_asked_for() {
    let log = filled();
    let mut asked = list("firstSeen");
    (asked.filter.since_ms, asked.filter.until_ms) = (Some(NOW + 70), Some(NOW + 140));
    assert_eq!(page(&log.c, &asked).unwrap().groups.len(), 10);
}

#[test]
fn every_order_reads_its_index_from_one_end() {
    let log = Log::new();
    for sort in SORTS {
        let sort = Sort::from_name(sort).unwrap();
        let filter = Filter {
            statuses: vec![GroupStatus::Unresolved],
            ..Filter::default()
        };
        let (sql, values) = sort.sql(&filter, None, 51, NOW);
        let plan: Vec<String> = log
            .c
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap()
            .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let plan = plan.join("\n");
        assert!(
            plan.contains("USING INDEX groups_by_") && plan.contains("status=?"),
            "{plan}"
        );
        assert!(
            plan.contains("USING INDEX groups_muted_until") && !plan.contains("SCAN groups"),
            "{plan}"
        );
    }
}

#[test]
fn a_cursor_is_taken_by_its_own_order_alone() {
    let after = After {
        sort: Sort::NEWEST,
        key: -5,
        id: 7,
    };
    let text = after.to_string();
    assert_eq!(After::parse(&text, Sort::NEWEST), Some(after));
    assert_eq!(After::parse(&text, Sort::from_name("lastSeen").unwrap()), None);
    for wrong in ["", "0", &text[1..], &text.replace('7', "8"), &text.to_uppercase()] {
        assert_eq!(After::parse(wrong, Sort::NEWEST), None, "{wrong}");
    }
}
