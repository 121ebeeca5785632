//! Calls to the storage that fail or hang below the real server: a read once, reads for good, an fsync, a probe that
//! hangs, and SQLite's memory.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit};
use serde_json::Value;

use crate::common::eventually;
use crate::common::work::{all_documents, assert_once, await_breaker, breaker, in_parallel, member, stats};
use crate::vfs::server::FaultyServer;
use crate::vfs::{Call, Effect};
use crate::{
    NOTES, assert_refused, create, created, numbered, one_document, reported, settings, until_well, with_notes,
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
fn fault_11_lasting_read_errors_open_the_breaker_and_refuse_at_once() {
    let mut server = FaultyServer::start(&settings(&[
        ("DB_BREAKER_TIMEOUT_MS", "3000"),
        ("DB_HEALTH_INTERVAL", "600"),
        ("DB_RETRY_DELAY_MS", "10"),
    ]));
    let client = with_notes(&server);
    let documents = created(&client, numbered("before", 20));
    let document = one_document(&client);
    let fault = server.lasting(
        &[Call::Open, Call::Read, Call::ShmMap, Call::ShmLock],
        "",
        Effect::Fails,
    );
    let first = eventually("a read fails", || {
        Some(client.get(&document)).filter(|answer| answer.status != 200)
    });
    assert_refused(first, &["database_unavailable"]);
    eventually("the breaker opens", || {
        assert_refused(client.get(&document), &["database_unavailable"]);
        (breaker(&client, "app.read")["state"] == "OPEN").then_some(())
    });
    let open = breaker(&client, "app.read");
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
    let mut server = FaultyServer::start(&settings(&[]));
    let client = with_notes(&server);
    let documents = created(&client, numbered("before", 20));
    let syncs = server.lasting(&[Call::Sync], "app.db-wal", Effect::Fails);
    let answer = create(&client, "perhaps");
    assert_refused(answer, &["outcome_unknown", "database_damaged"]);
    assert!(server.look(syncs).1 >= 1);
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
fn fault_20_without_descriptors_open_connections_keep_serving() {
    let server = crate::common::Server::start(&settings(&[("DB_POOL_MAX", "4"), ("DB_POOL_MIN", "1")]));
    let client = with_notes(&server);
    let document = one_document(&client);
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("descriptors")
        .count() as u64;
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = |current| Rlimit { current, maximum };
    // The client's connection is open; no file, and no other connection, can be opened.
    rustix::process::prlimit(pid, Resource::Nofile, limit(Some(open))).expect("set");
    for number in 0..20 {
        let read = client.get(&document);
        assert!(read.status == 200 || read.status == 503, "{read:?}");
        let written = create(&client, &format!("within {number}"));
        assert!(written.status == 201 || written.status == 503, "{written:?}");
    }
    client.get(&document).expect(200);
    rustix::process::prlimit(pid, Resource::Nofile, limit(Some(1024))).expect("set");
    await_breaker(&client, "app.write", "CLOSED");
    await_breaker(&client, "app.read", "CLOSED");
    create(&server.client(), "after").expect(201);
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
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    create(&client, "after").expect(201);
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
