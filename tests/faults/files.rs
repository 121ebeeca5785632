//! Files that vanish, or are not the ones that they were.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::work::{
    OtherProcess, all_documents, all_events, assert_once, await_breaker, await_empty_spool, member, stats,
};
use crate::common::{Server, eventually};
use crate::{
    NOTES, assert_every_refusal_is_counted, assert_nothing_refused, assert_refused, create, created, health, numbered,
    report, reported, settings, started, until_well, with_notes,
};

/// What health may take to see what happened to a file.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// What answers 503 while a database is bad, and isn't an error itself.
const PROBES: [&str; 2] = ["/api/monitoring/health", "/readyz"];

/// The file goes; the way to the file as it was is kept.
fn take_away(path: &Path, kept: &Path, leave_another: bool) -> Option<Vec<u8>> {
    if !leave_another {
        fs::rename(path, kept).expect("renamed");
        return None;
    }
    let other = path.with_extension("other");
    fs::copy(path, &other).expect("copied");
    fs::hard_link(path, kept).expect("linked");
    // In one step, so that there is no moment without a file.
    fs::rename(&other, path).expect("replaced");
    Some(fs::read(path).expect("read"))
}

/// With the default interval between probes: it is the short looks in between that see it.
fn without_its_file(leave_another: bool) {
    let server = Server::start(&settings(&[("DB_HEALTH_INTERVAL", "30")]));
    let client = with_notes(&server);
    let documents = created(&client, numbered("before", 20));
    let (path, kept) = (server.data_dir().join("app.db"), server.data_dir().join("kept.db"));
    let gone = Instant::now();
    let other = take_away(&path, &kept, leave_another);
    let what = if leave_another { "replaced" } else { "deleted" };
    for name in ["app.write", "app.read"] {
        let isolated = await_breaker(&client, name, "ISOLATED");
        let cause = isolated["cause"].as_str().unwrap_or_default();
        assert!(cause.contains(what), "{isolated}");
    }
    println!("{what}: seen after {:?}", gone.elapsed());
    assert!(gone.elapsed() < SEEN_WITHIN, "{:?}", gone.elapsed());
    assert_refused(create(&client, "never"), &["database_damaged"]);
    assert_refused(client.get(NOTES), &["database_damaged"]);
    client
        .post("/api/monitoring/circuit-breaker/reset", &json!({ "name": "app.write" }))
        .expect(409);
    assert_eq!(health(&client)["status"], "unhealthy");
    for probe in PROBES {
        client.get(probe).expect(503);
    }
    let told = reported(&client, ["the log goes on".to_owned()]);
    let isolation = eventually("an event tells", || {
        let is_it = |event: &Value| event["details"]["to"] == "ISOLATED" && event["details"]["breaker"] == "app.write";
        all_events(&client).into_iter().find(is_it)
    });
    assert_eq!(isolation["severity"], "critical");
    match &other {
        None => assert!(!path.exists(), "an empty one was made"),
        Some(other) => assert!(fs::read(&path).expect("read") == *other, "the other one was written to"),
    }

    fs::rename(&kept, &path).expect("back");
    await_breaker(&client, "app.write", "CLOSED");
    await_breaker(&client, "app.read", "CLOSED");
    create(&client, "after").expect(201);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.iter().any(|marker| marker == "never"));
    let events = all_events(&client);
    assert_once("events", &told, &member(&events, "id"));
    // A refused request is an error of its own, a probe's bad answer is not.
    let of = |path: &str| events.iter().filter(|event| event["path"] == path).count();
    assert!(of(NOTES) > 0, "{events:?}");
    assert_eq!(PROBES.map(of), [0, 0]);
    until_well(&client);
}

#[test]
fn fault_16_a_renamed_app_db_is_isolated_never_re_created_and_back_when_it_returns() {
    without_its_file(false);
}

#[test]
fn fault_16_a_replaced_app_db_is_isolated_never_written_to_and_back_when_it_returns() {
    without_its_file(true);
}

#[test]
fn fault_16_nothing_is_acknowledged_that_went_into_a_file_without_a_name() {
    let (server, client) = started();
    created(&client, numbered("before", 3));
    let path = server.data_dir().join("app.db");
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let client = client.clone();
            std::thread::spawn(move || {
                let answers = (0..).map(move |number| {
                    let asked = Instant::now();
                    (asked, create(&client, &format!("{writer} {number}")).status)
                });
                answers.take_while(|(_, status)| *status == 201).last()
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(&path).expect("removed");
    let removed = Instant::now();
    for writer in writers {
        let last = writer.join().expect("ended");
        // What was asked for afterwards is never acknowledged.
        assert!(
            last.is_none_or(|(asked, _)| asked < removed),
            "{:?} later",
            last.map(|(asked, _)| asked - removed)
        );
    }
    await_breaker(&client, "app.write", "ISOLATED");
    assert!(!path.exists(), "an empty one was made");
}

#[test]
fn fault_16_events_reported_while_events_db_is_away_are_found_once_when_it_returns() {
    let (server, client) = started();
    let mut events = reported(&client, numbered("before", 10));
    let (path, away) = (server.data_dir().join("events.db"), server.data_dir().join("away.db"));
    fs::rename(&path, &away).expect("renamed");
    events.extend(reported(&client, numbered("between", 10)));
    await_breaker(&client, "events.write", "ISOLATED");
    events.extend(reported(&client, numbered("isolated", 10)));
    create(&client, "the other file is well").expect(201);
    assert!(!path.exists(), "an empty one was made");

    fs::rename(&away, &path).expect("back");
    await_breaker(&client, "events.write", "CLOSED");
    await_empty_spool(&client);
    assert_once("events", &events, &member(&all_events(&client), "id"));
}

#[test]
fn fault_16_another_programs_data_in_the_same_file_is_seen_and_isolated() {
    let (server, client) = started();
    let other = server.other_party("app.db");
    let ours: i64 = other
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .expect("read");
    other.pragma_update(None, "application_id", 7).expect("taken over");
    let isolated = await_breaker(&client, "app.write", "ISOLATED");
    let cause = isolated["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("another program's data"), "{isolated}");
    other.pragma_update(None, "application_id", ours).expect("given back");
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
}

#[test]
fn fault_09_a_spool_whose_folder_is_gone_refuses_and_counts_and_comes_back() {
    let (server, client) = started();
    let folder = server.data_dir().join("spool");
    let lock = OtherProcess::hold(&server, "events.db");
    let destroyed = reported(&client, numbered("destroyed", 3));
    // Moved first, in one step, because events of Mainstay's own may just be going there.
    let aside = server.folder().join("aside");
    fs::rename(&folder, &aside).expect("moved");
    fs::remove_dir_all(&aside).expect("removed");
    // It would be made again by itself, if nothing stood in its place.
    fs::write(&folder, "in the way").expect("written");
    for number in 0..10 {
        assert_refused(report(&client, &format!("never {number}")), &["events_not_accepted"]);
    }
    assert_every_refusal_is_counted(&client, || {
        assert_refused(report(&client, "never again"), &["events_not_accepted"]);
        true
    });
    create(&client, "the other file is well").expect(201);
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(account["dropped"]["spoolFailed"].as_u64() >= Some(15), "{account}");

    fs::remove_file(&folder).expect("out of the way");
    let kept = reported(&client, numbered("kept", 10));
    lock.release();
    let account = eventually("the spool is empty", || {
        Some(stats(&client)["ledger"].clone()).filter(|seen| seen["spooled"] == 0 && seen["inFlight"] == 0)
    });
    assert_eq!(account["balanced"], true, "{account}");
    // What an operator destroys is gone, as far as replay hadn't read it yet, but not in silence.
    let found = all_events(&client);
    let there = member(&found, "id");
    let gone = destroyed.iter().filter(|id| !there.contains(id)).count();
    assert!(
        account["dropped"]["spoolDamaged"].as_u64() >= Some(gone as u64),
        "{account}"
    );
    assert_once("events", &kept, &there);
    assert_nothing_refused(&found);
}
