//! Contention through the front door: locks and snapshots that another process holds, by name.
//!
//! What must stay true: whoever waits learns who is in the way, if they may know; clients are told nothing of processes;
//! everything recovers unaided.
#![cfg(target_os = "linux")]

mod common;

use std::time::{Duration, Instant};

use common::work::{
    IN_TURNS, OtherProcess, all_events, await_breaker, be_the_other_process, breaker, in_parallel, stats,
};
use common::{Answer, Client, SHORT, Server, eventually, with_notes};
use serde_json::{Value, json};

const LIMIT_BYTES: u64 = 64 << 20;

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

fn create(client: &Client, text: &str) -> Answer {
    client.post("/api/data/notes", &json!({ "text": text }))
}

/// What the kernel calls a process.
fn command(other: &OtherProcess) -> String {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", other.pid())).expect("it runs");
    name.trim_end().to_owned()
}

fn because(client: &Client) -> String {
    client.get("/api/monitoring/health").json()["because"].to_string()
}

fn until_well(client: &Client) {
    eventually("healthy again", || {
        (client.get("/api/monitoring/health").json()["status"] == "healthy").then_some(())
    });
}

/// What the statistics show of another process's lock on app.db.
fn shown_lock(client: &Client, other: &OtherProcess, lock: &str) -> Option<Value> {
    let shown = stats(client)["databases"]["app"]["locks"].clone();
    let mut all = shown.as_array().expect("a list").iter();
    all.find(|one| one["pid"] == other.pid() && one["lock"] == lock)
        .cloned()
}

#[test]
fn fault_01_write_lock_held_3_s_by_another_process_is_waited_out() {
    let (server, client) = with_notes();
    let other = OtherProcess::hold(&server, "app.db");
    let began = Instant::now();
    let shown = std::thread::scope(|scope| {
        let writers = scope.spawn(|| in_parallel(4, |_| create(&server.client(), "waits").status));
        let shown = eventually("the statistics show who holds the lock, and for how long", || {
            shown_lock(&client, &other, "write").filter(|one| one["heldMs"].as_u64() >= Some(1000))
        });
        eventually("the health says that writes wait, and for whom", || {
            let health = client.get("/api/monitoring/health").json();
            let told = health["because"].as_array()?.iter().filter_map(Value::as_str);
            told.into_iter()
                .find(|why| why.starts_with("app: writes wait: the write lock is held by"))
                .filter(|_| health["status"] == "degraded")
                .map(drop)
        });
        std::thread::sleep(Duration::from_secs(3).saturating_sub(began.elapsed()));
        let name = command(&other);
        other.release();
        assert_eq!(writers.join().expect("no panic"), [201; 4]);
        assert_eq!(shown["command"], name);
        shown
    });
    assert!(
        shown["heldMs"].as_u64() <= Some(began.elapsed().as_millis() as u64),
        "{shown}"
    );
    let after = breaker(&client, "app.write");
    assert_eq!(
        (&after["state"], &after["openedAt"]),
        (&json!("CLOSED"), &Value::Null),
        "{after}"
    );
    assert_eq!(stats(&client)["databases"]["app"]["retries"]["gaveUp"], 0);
    eventually("nobody is shown any more", || {
        (stats(&client)["databases"]["app"]["locks"] == json!([])).then_some(())
    });
}

#[test]
fn a_process_that_takes_the_lock_again_and_again_starves_nobody() {
    let (server, client) = with_notes();
    let other = OtherProcess::hold_with(&server, "app.db", IN_TURNS);
    let waits = (0..30).map(|_| {
        let began = Instant::now();
        create(&client, "between two turns").expect(201);
        began.elapsed()
    });
    let longest = waits.max().expect("some");
    assert!(longest < Duration::from_secs(4), "{longest:?}");
    assert_eq!(breaker(&client, "app.write")["state"], "CLOSED");
    other.release();
}

#[test]
fn fault_02_lock_held_long_opens_the_write_breaker_names_the_holder_and_ends_unaided() {
    let server = Server::start(SHORT);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let id = create(&client, "before").expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let other = OtherProcess::hold(&server, "app.db");
    let who = format!("{} (pid {})", command(&other), other.pid());
    let open = eventually("the write breaker opens", || {
        let answer = create(&client, "never").expect(503);
        let body = answer.json();
        assert_eq!(body["code"], "database_busy", "{body}");
        assert!(!answer.text.contains(&other.pid().to_string()), "{body}");
        assert!(!answer.text.contains(&command(&other)), "{body}");
        let seen = breaker(&client, "app.write");
        (seen["state"] == "OPEN").then_some(seen)
    });
    client.get(&format!("/api/data/notes/{id}")).expect(200);
    let cause = open["cause"].as_str().expect("a cause");
    assert!(
        cause.starts_with(&format!("the write lock is held by {who}")),
        "{cause}"
    );
    eventually("health says who", || because(&client).contains(&who).then_some(()));
    let event = eventually("an event says who", || {
        let mut all = all_events(&client).into_iter();
        all.find(|one| one["details"]["holder"]["pid"] == other.pid())
    });
    let holder = &event["details"]["holder"];
    assert_eq!(
        (&holder["lock"], &holder["ours"], &holder["command"]),
        (&json!("write"), &json!(false), &json!(command(&other)))
    );
    other.release();
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    assert_eq!(breaker(&client, "app.read")["state"], "CLOSED");
    until_well(&client);
}

#[test]
fn fault_21_pinned_reader_is_named_and_the_wal_shrinks_when_it_ends() {
    let (server, client) = with_notes();
    create(&client, "so that there is something to read").expect(201);
    let reader = OtherProcess::hold_with(&server, "app.db", "BEGIN; SELECT count(*) FROM sqlite_schema");
    let who = format!("{} (pid {})", command(&reader), reader.pid());
    let wal = || stats(&client)["databases"]["app"]["wal"].clone();
    let text = "x".repeat(900 << 10);
    while wal()["bytes"].as_u64() <= Some(LIMIT_BYTES) {
        create(&client, &text).expect(201);
    }
    let told = eventually("health names the reader", || {
        Some(because(&client)).filter(|told| told.contains(&who))
    });
    assert!(told.contains("the write-ahead log is 6"), "{told}");
    let pinned = wal();
    assert!(
        pinned["pinnedBy"].as_str().is_some_and(|by| by.contains(&who)),
        "{pinned}"
    );
    assert!(
        pinned["checkpointedFrames"].as_u64() < pinned["frames"].as_u64(),
        "{pinned}"
    );
    assert!(pinned["oldestReaderMs"].as_u64() > Some(0), "{pinned}");
    let began = Instant::now();
    create(&client, "no writer waits for a reader").expect(201);
    assert!(began.elapsed() < Duration::from_secs(5));
    eventually("an alert says what to do", || {
        let alerts = client.get("/api/monitoring/alerts").expect(200).json();
        let mut all = alerts["alerts"].as_array().expect("a list").clone().into_iter();
        all.find(|one| one["id"] == "wal:app" && one["detail"].to_string().contains(&who))
    });
    let events_about_it = || {
        let told = all_events(&client).into_iter();
        told.filter(|one| one["details"]["problem"].to_string().contains(&who))
            .count()
    };
    eventually("an event tells", || (events_about_it() > 0).then_some(()));
    reader.release();
    eventually("the log shrinks", || {
        (wal()["bytes"].as_u64() < Some(1 << 20)).then_some(())
    });
    eventually("nobody is blamed any more", || {
        wal()["pinnedBy"].is_null().then_some(())
    });
    until_well(&client);
    assert_eq!(events_about_it(), 1, "once");
}
