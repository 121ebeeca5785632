//! Calls to the storage that fail or hang below the real server: a read once, reads for good, an fsync, a probe that
//! hangs, and SQLite's memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::work::{
    OtherProcess, all_documents, assert_once, await_breaker, breaker, in_parallel, member, stats,
};
use crate::common::{Server, eventually};
use crate::vfs::server::FaultyServer;
use crate::vfs::{Call, Effect};
use crate::{
    NOTES, assert_refused, create, created, health, numbered, one_document, reported, settings, until_well, with_notes,
};

/// A page that must come from the file: the cache of an idle connection is dropped when it is checked.
fn read_until_broken(server: &FaultyServer, document: &str, fault: crate::vfs::server::Ordered) {
    let client = server.client();
    eventually("a read meets the fault", || {
        client.get(document).expect(200);
        (server.look(fault).1 > 0).then_some(())
    });
}

#[test]
fn fault_10_one_failed_read_is_one_reconnect_and_a_success() {
    let mut server = FaultyServer::start(&settings(&[("DB_HEALTH_INTERVAL", "600")]));
    let client = with_notes(&server);
    let document = one_document(&client);
    let folder = server.data_dir().canonicalize().expect("a folder");
    let fault = crate::vfs::Fault::lasting(&[Call::Read], &folder, "app.db", Effect::Fails).only(0, 1);
    // Into the file itself, so that reads go there.
    server
        .other_party("app.db")
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("checkpointed");
    let fault = server.arm(fault);
    read_until_broken(&server, &document, fault);
    assert_eq!(server.lift(fault).1, 1);
    for name in ["app.read", "app.write"] {
        assert_eq!(breaker(&client, name)["state"], "CLOSED");
    }
    create(&client, "after").expect(201);
}

#[test]
fn fault_11_lasting_read_errors_open_the_breaker_at_the_fifth_and_refuse_at_once() {
    // Each request is one attempt, which is one failure.
    let mut server = FaultyServer::start(&settings(&[
        ("DB_BREAKER_TIMEOUT_MS", "3000"),
        ("DB_HEALTH_INTERVAL", "600"),
        ("DB_MAX_ATTEMPTS", "1"),
    ]));
    let client = with_notes(&server);
    let documents = created(&client, numbered("before", 20));
    let document = one_document(&client);
    let fault = server.lasting(
        &[Call::Open, Call::Read, Call::ShmMap, Call::ShmLock],
        "",
        Effect::Fails,
    );
    eventually("a read fails", || {
        let answer = client.get(&document);
        (answer.status != 200).then(|| assert_refused(answer, &["database_unavailable"]))
    });
    for failures in 2..=5 {
        let before = breaker(&client, "app.read");
        assert_eq!(before["state"], "CLOSED", "after {} failures: {before}", failures - 1);
        assert_refused(client.get(&document), &["database_unavailable"]);
    }
    let open = breaker(&client, "app.read");
    assert_eq!(
        (&open["state"], &open["failedCalls"]),
        (&json!("OPEN"), &json!(5)),
        "{open}"
    );
    assert!(
        open["cause"].as_str().is_some_and(|cause| cause.contains("SQLite")),
        "{open}"
    );
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let began = Instant::now();
            assert_refused(client.get(&document), &["database_unavailable"]);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("refused in {:?} at the median, over HTTP", times[times.len() / 2]);
    assert!(times[times.len() / 2] < Duration::from_millis(50), "{times:?}");
    server.lift(fault);
    await_breaker(&client, "app.read", "CLOSED");
    client.get(&document).expect(200);
    assert_once(
        "documents",
        &documents,
        &member(&all_documents(&client, "notes"), "marker"),
    );
}

#[test]
fn fault_12_a_failed_fsync_is_an_unknown_outcome_and_isolates_until_verified() {
    // No regular probe writes between the fault and the commit that shall meet it.
    let mut server = FaultyServer::start(&settings(&[("DB_HEALTH_INTERVAL", "10")]));
    let client = with_notes(&server);
    until_well(&client);
    let documents = created(&client, numbered("before", 20));
    let syncs = server.lasting(&[Call::Sync], "app.db-wal", Effect::Fails);
    let answer = create(&client, "perhaps");
    assert_refused(answer, &["outcome_unknown"]);
    let of_the_commit = server.look(syncs).1;
    assert!(of_the_commit >= 1);
    let told = eventually("an event tells of the isolation", || {
        let is_it = |event: &Value| event["details"]["to"] == "ISOLATED" && event["details"]["breaker"] == "app.write";
        crate::common::work::all_events(&client).into_iter().find(is_it)
    });
    assert_eq!(told["severity"], "critical");
    assert!(
        told["details"]["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("FSYNC")),
        "{told}"
    );
    // The file reads well, from memory. It is let back only once the log could be brought to the disk anew.
    eventually("another sync was tried", || {
        (server.look(syncs).1 > of_the_commit).then_some(())
    });
    for name in ["app.read", "app.write"] {
        assert_eq!(breaker(&client, name)["state"], "ISOLATED");
    }
    assert_refused(create(&client, "never"), &["database_damaged"]);
    server.lift(syncs);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(there.iter().filter(|marker| *marker == "perhaps").count() <= 1);
    assert_eq!(there.iter().filter(|marker| *marker == "after").count(), 1);
    server.kill();
    server.restart();
    let there_now = member(&all_documents(&server.client(), "notes"), "marker");
    assert_once("documents", &there, &there_now);
    assert_eq!(there.len(), there_now.len(), "what was read is what is there");
}

#[test]
fn fault_25_readers_that_never_come_back_are_told_with_their_call_site_and_the_others_are_shed() {
    let mut server = FaultyServer::start(&settings(&[("DB_POOL_MAX", "2"), ("DB_POOL_MIN", "1")]));
    let client = with_notes(&server);
    created(&client, numbered("before", 5));
    let began = Instant::now();
    let reads = server.lasting(&[Call::Read, Call::ShmLock], "", Effect::Hangs);
    let answers = in_parallel(8, |_| server.client().get(&format!("{NOTES}?limit=500")));
    // An operation has a second; the rest is for the request around it on a loaded machine.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for answer in answers {
        assert_refused(answer, &["database_unavailable", "database_busy"]);
    }
    eventually("the statistics count them", || {
        (stats(&client)["databases"]["app"]["pool"]["leaksSuspected"].as_u64() > Some(0)).then_some(())
    });
    let log = eventually("the log tells", || {
        Some(server.log()).filter(|log| log.contains("held for suspiciously long"))
    });
    assert!(log.contains("call_site") && log.contains("src/"), "{log}");
    server.lift(reads);
    until_well(&client);
    let event = eventually("an event tells", || {
        let mut all = crate::common::work::all_events(&client).into_iter();
        all.find(|event| event["details"]["callSite"].is_string())
    });
    let site = event["details"]["callSite"].as_str().expect("just seen");
    assert!(site.starts_with("src/") && site.contains(".rs:"), "{event}");
    client.get(NOTES).expect(200);
}

#[test]
fn fault_27_a_probe_that_hangs_is_given_up_and_probed_again() {
    let mut server = FaultyServer::start(&settings(&[("DB_HEALTH_TIMEOUT_MS", "500")]));
    let client = with_notes(&server);
    until_well(&client);
    let reads = server.lasting(&[Call::Read, Call::ShmLock, Call::Open], "app.db", Effect::Hangs);
    let health = eventually("the probe is given up", || {
        let answer = client.get("/api/monitoring/health").json();
        (answer["databaseHealthy"] == false).then_some(answer)
    });
    assert_ne!(health["status"], "healthy");
    // Liveness never depends on the database.
    client.get("/livez").expect(200);
    let began = Instant::now();
    server.lift(reads);
    until_well(&client);
    println!("well again {:?} after the hang", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    create(&client, "after").expect(201);
}

/// The breakers' states are kept in a file of their own; a pipe in its place takes as long as a disk that hangs.
#[test]
fn fault_27_a_look_that_hangs_keeps_no_probe_from_its_time_and_no_server_from_its_end() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let mut server = Server::start(&settings(&[("DB_HEALTH_TIMEOUT_MS", "300")]));
    let client = with_notes(&server);
    let pipe = server.data_dir().join("app.db-breakers.json.new");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).expect("made");
    let lock = OtherProcess::hold(&server, "app.db");
    eventually("the write breaker opens", || {
        create(&client, "never").expect(503);
        (breaker(&client, "app.write")["state"] == "OPEN").then_some(())
    });
    lock.release();
    // Nobody writes any more: it is a probe that finds out.
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    let began = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn fault_30_a_commit_that_hangs_past_its_deadline_is_unknown_and_the_same_key_has_one_effect() {
    let mut server = FaultyServer::start(&settings(&[("DB_HEALTH_INTERVAL", "600")]));
    let client = with_notes(&server);
    let keyed = client.with("Idempotency-Key", "order-1");
    eventually("no probe is in the way", || {
        let checked = &health(&client)["components"]["appDatabase"]["checkedAt"];
        checked.is_string().then_some(())
    });
    let syncs = server.lasting(&[Call::Sync], "app.db-wal", Effect::Hangs);
    assert_refused(create(&keyed, "once"), &["outcome_unknown"]);
    assert!(server.look(syncs).1 >= 1, "it was the commit that hung");
    server.lift(syncs);
    let answer = eventually("the key is answered", || {
        Some(create(&keyed, "once")).filter(|answer| answer.status == 201)
    });
    assert_eq!(answer.header("Idempotency-Replayed"), Some("true"), "{answer:?}");
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_eq!(there, ["once"], "one effect");
    server.kill();
    server.restart();
    let there = member(&all_documents(&server.client(), "notes"), "marker");
    assert_eq!(there, ["once"]);
}

#[test]
fn fault_33_sqlite_out_of_memory_sheds_and_does_not_abort() {
    let server = FaultyServer::start(&settings(&[]));
    let client = with_notes(&server);
    let documents = created(&client, numbered("before", 20));
    let events = reported(&client, numbered("before", 20));
    server.run_out_of_memory(0, u64::MAX);
    let answers: Vec<_> = in_parallel(4, |who| {
        let client = server.client();
        numbered("starved", 10)
            .map(|marker| create(&client, &format!("{marker} {who}")))
            .chain((0..10).map(|_| client.get(NOTES)))
            .collect::<Vec<_>>()
    })
    .concat();
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("Retry-After").is_some(), "{answer:?}");
    }
    client.get("/livez").expect(200);
    assert!(server.recover_memory().1 > 0);
    until_well(&client);
    create(&client, "after").expect(201);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.iter().any(|marker| marker.starts_with("starved")));
    eventually("the spool is empty", || {
        (stats(&client)["ledger"]["spooled"] == 0).then_some(())
    });
    assert_once(
        "events",
        &events,
        &member(&crate::common::work::all_events(&client), "id"),
    );
}
