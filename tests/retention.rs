//! The bounds of the event log at the front door of the real binary: what is too old, too much or too large leaves, and
//! what a person needs of each group stays.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use common::{Client, Server, eventually};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
const RETENTION: &str = "/api/monitoring/retention";
const DAY_MS: i64 = 86_400_000;
/// Events of one report.
const LINES: usize = 500;

fn now_ms() -> i64 {
    mainstay::clock::epoch_ms(jiff::Timestamp::now())
}

fn at(ms: i64) -> String {
    mainstay::clock::rfc3339_ms(mainstay::clock::from_epoch_ms(ms))
}

/// An event of a group of its own words, in about `bytes`.
fn line(text: &mut String, group: &str, number: usize, ms: i64, bytes: usize) {
    let padding = "x".repeat(bytes);
    writeln!(
        text,
        r#"{{"message":"{group} number {number}","fingerprint":["{group}"],"timestamp":"{}","details":{{"padding":"{padding}"}}}}"#,
        at(ms)
    )
    .expect("a string takes it");
}

/// Reports events, one every `step_ms` from `from_ms` on.
fn fill(client: &Client, group: &str, count: usize, (from_ms, step_ms): (i64, i64), bytes: usize) {
    for begin in (0..count).step_by(LINES) {
        let mut text = String::new();
        for number in begin..count.min(begin + LINES) {
            line(&mut text, group, number, from_ms + number as i64 * step_ms, bytes);
        }
        let answer = client.send("POST", ERRORS, Some(("application/x-ndjson", text.as_bytes())));
        assert_eq!(answer.expect(200).json()["rejected"], 0);
    }
}

fn retention(client: &Client) -> Value {
    client.get(RETENTION).expect(200).json()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn total(client: &Client) -> u64 {
    number(&client.get("/api/monitoring/stats").expect(200).json()["errors"]["total"])
}

fn groups(client: &Client) -> usize {
    let page = client.get("/api/monitoring/groups").expect(200).json();
    page["groups"].as_array().expect("a list").len()
}

fn messages(client: &Client, query: &str) -> BTreeSet<String> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = client
            .get(&format!("{ERRORS}?limit=500&{query}{cursor}"))
            .expect(200)
            .json();
        for event in page["errors"].as_array().expect("a list") {
            found.insert(event["message"].as_str().expect("text").to_owned());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Every number agrees with the rows, and the ledger balances.
fn assert_true(server: &Server, client: &Client) {
    let stats = client.get("/api/monitoring/stats").expect(200).json();
    assert_eq!(stats["ledger"]["balanced"], true, "{}", stats["ledger"]);
    let file = server.other_party("events.db");
    let count = |sql: &str| -> i64 { file.query_row(sql, [], |row| row.get(0)).expect(sql) };
    let rows = count("SELECT count(*) FROM events");
    assert_eq!(rows, count("SELECT coalesce(sum(count), 0) FROM event_totals"));
    assert_eq!(rows, count("SELECT coalesce(sum(count), 0) FROM event_hours"));
    let removed = count("SELECT coalesce(sum(removed), 0) FROM groups");
    assert_eq!(
        rows + removed,
        count("SELECT sum(count) FROM groups WHERE parent IS NULL")
    );
    assert_eq!(removed, count("SELECT coalesce(sum(events), 0) FROM retention_removed"));
    let whole: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(whole, "ok");
}

#[test]
fn above_its_count_the_log_loses_duplicates_and_keeps_the_ends_of_every_group() {
    let server = Server::start(&[("MAINSTAY_EVENTS_MAX_COUNT", "1000")]);
    let client = server.client();
    let begin = now_ms() - 2 * DAY_MS;
    fill(&client, "rare", 40, (begin, DAY_MS / 40), 10);
    fill(&client, "storm", 3000, (begin + DAY_MS, 100), 10);
    eventually("it is within its count", || (total(&client) <= 1000).then_some(()));
    let left = messages(&client, "");
    let rare: BTreeSet<_> = left.iter().filter(|message| message.starts_with("rare")).collect();
    assert_eq!(rare.len(), 40, "none of those that stand alone: {rare:?}");
    for number in [0, 2980, 2999] {
        assert!(left.contains(&format!("storm number {number}")), "{number}");
    }
    assert!(left.len() >= 900, "no more than needed: {}", left.len());
    let groups = client.get("/api/monitoring/groups?q=storm").expect(200).json();
    assert_eq!(groups["groups"][0]["count"], 3000, "what was ever seen");
    let shown = eventually("the run is told", || {
        Some(retention(&client)).filter(|shown| number(&shown["removed"]["count"]) >= 2040)
    });
    assert!(shown["lastRun"]["removed"]["count"].is_u64(), "{shown}");
    assert_eq!(shown["unmet"], Value::Null);
    assert_true(&server, &client);
}

#[test]
fn what_is_too_old_leaves_whatever_it_is_worth_and_its_group_with_it() {
    let mut server = Server::start(&[("MAINSTAY_EVENTS_MAX_DAYS", "30")]);
    let client = server.client();
    let now = now_ms();
    fill(&client, "ancient", 3, (now - 31 * DAY_MS, 1000), 10);
    fill(&client, "lasting", 40, (now - 40 * DAY_MS - DAY_MS / 2, DAY_MS), 10);
    eventually("the old ones left", || {
        let shown = retention(&client);
        (number(&shown["removed"]["age"]) == 14).then_some(())
    });
    let left = messages(&client, "");
    assert_eq!(left.len(), 29);
    assert!(left.iter().all(|message| message.starts_with("lasting")), "{left:?}");
    assert_true(&server, &client);
    assert_eq!(groups(&client), 2, "the other one waits for the hour");
    server.stop();
    server.restart();
    let client = server.client();
    eventually("the group without events left", || (groups(&client) == 1).then_some(()));
    assert_eq!(number(&retention(&client)["removed"]["age"]), 14, "counted for good");
}

#[test]
fn a_file_above_its_budget_shrinks_while_ingest_goes_on() {
    let mut server = Server::start(&[
        ("MAINSTAY_EVENTS_MAX_MIB", "0"),
        ("MAINSTAY_EVENTS_MAX_DISK_PERCENT", "0"),
    ]);
    let client = server.client();
    fill(&client, "large", 6000, (now_ms() - DAY_MS, 1000), 2000);
    let before = eventually("it is large", || {
        retention(&client)["use"]["bytes"]
            .as_u64()
            .filter(|bytes| *bytes > 10 << 20)
    });
    server.stop();
    server.set("MAINSTAY_EVENTS_MAX_MIB", "6");
    server.restart();
    let client = server.client();
    let (mut longest, mut single) = (Duration::ZERO, 0);
    let shown = eventually("it is small again", || {
        let began = Instant::now();
        let event = json!({ "message": "one among many", "fingerprint": ["single"] });
        client.post(ERRORS, &event).expect(201);
        single += 1;
        longest = longest.max(began.elapsed());
        let shown = retention(&client);
        let is_small = shown["use"]["bytes"].as_u64().is_some_and(|bytes| bytes <= 6 << 20);
        (is_small && shown["lastRun"]["givenBackBytes"].as_u64() > Some(1 << 20)).then_some(shown)
    });
    println!(
        "ingest waited {longest:?} at most; the longest step of the run took {} ms",
        shown["lastRun"]["longestStepMs"]
    );
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert_eq!(shown["givesBack"], true);
    assert!(number(&shown["removed"]["bytes"]) > 1000, "{shown}");
    assert_eq!(messages(&client, "q=among").len(), 1, "one text");
    let groups = client.get("/api/monitoring/groups?q=among").expect(200).json();
    assert_eq!(groups["groups"][0]["count"], single);
    let file = server.data_dir().join("events.db");
    eventually("the file itself is smaller", || {
        (std::fs::metadata(&file).expect("there").len() < before * 3 / 4).then_some(())
    });
    assert_true(&server, &client);
}

#[test]
fn killed_in_the_middle_it_goes_on_and_every_number_is_true() {
    let mut server = Server::start(&[("MAINSTAY_EVENTS_MAX_COUNT", "0")]);
    fill(&server.client(), "many", 6000, (now_ms() - DAY_MS, 1000), 200);
    server.stop();
    server.set("MAINSTAY_EVENTS_MAX_COUNT", "500");
    for _ in 0..3 {
        server.restart();
        let file = server.other_party("events.db");
        let gone = || -> i64 {
            file.query_row("SELECT coalesce(sum(removed), 0) FROM groups", [], |row| row.get(0))
                .expect("read")
        };
        let before = gone();
        eventually("it prunes", || (gone() > before || gone() >= 5500).then_some(()));
        server.kill();
    }
    server.restart();
    let client = server.client();
    eventually("it is within its count", || (total(&client) <= 500).then_some(()));
    let left = messages(&client, "");
    assert!(left.contains("many number 0") && left.contains("many number 5999"));
    assert_true(&server, &client);
}

#[test]
fn without_bounds_everything_stays_and_a_preview_says_what_others_would_do() {
    let off = ["MAX_DAYS", "MAX_COUNT", "MAX_MIB", "MAX_DISK_PERCENT"].map(|name| format!("MAINSTAY_EVENTS_{name}"));
    let server = Server::start(&off.each_ref().map(|name| (name.as_str(), "0")));
    let client = server.client();
    let now = now_ms();
    fill(&client, "old", 10, (now - 3000 * DAY_MS, 1000), 10);
    fill(&client, "new", 490, (now - DAY_MS, 1000), 10);
    let asked = |query: &str| {
        client
            .get(&format!("{RETENTION}?dryRun=true{query}"))
            .expect(200)
            .json()["preview"]
            .clone()
    };
    assert_eq!(asked("")["removed"], 0);
    let by_age = asked("&maxDays=30");
    assert_eq!(
        (&by_age["removed"], &by_age["byReason"]["age"]),
        (&json!(10), &json!(10))
    );
    let by_count = asked("&maxCount=100");
    assert_eq!((&by_count["removed"], &by_count["kept"]), (&json!(405), &json!(95)));
    assert_eq!(by_count["byWorth"]["firstsOfGroups"], 0, "{by_count}");
    assert_eq!(total(&client), 500, "nothing left by asking");
    for (query, problem) in [
        ("maxDays=3", "is for a preview only"),
        ("dryRun=maybe", "must be true or false"),
        ("dryRun=true&maxCount=-1", "must be a whole number from 0 to"),
        ("dryRun=true&days=3", "is not a parameter here"),
    ] {
        let refused = client.get(&format!("{RETENTION}?{query}")).expect(400);
        assert!(refused.text.contains(problem), "{query}: {}", refused.text);
    }
}
