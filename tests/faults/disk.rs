//! Storage that takes nothing more: full, read-only, or without the spool's folder.

use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit};
use serde_json::json;

use crate::common::work::{OtherProcess, all_documents, all_events, assert_once, await_breaker, member, stats};
use crate::common::{SHORT, Server, eventually};
use crate::{
    ERRORS, NOTES, assert_nothing_refused, assert_refused, create, created, numbered, one_document, report, reported,
    started,
};

/// Bounds the size of every file that the server writes; past it each write fails as on a full disk.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    rustix::process::prlimit(pid, Resource::Fsize, limit).expect("set");
}

#[test]
fn fault_07_a_file_size_limit_refuses_writes_keeps_reading_and_recovers_when_there_is_room() {
    const FULL: [&str; 1] = ["database_read_only"];
    // With no byte to write at all SQLite can't even make its shared memory, which it doesn't call full.
    const NOTHING: [&str; 2] = ["database_read_only", "database_unavailable"];
    let (server, client) = started();
    let mut documents = created(&client, numbered("before", 100));
    let mut events = reported(&client, numbered("before", 100));
    let document = one_document(&client);

    // The databases are past this limit, the spool isn't.
    limit_files(&server, Some(64 << 10));
    let first = eventually("writes are refused", || {
        Some(create(&client, "never")).filter(|answer| answer.status != 201)
    });
    assert_refused(first, &FULL);
    await_breaker(&client, "app.write", "OPEN");
    assert_refused(create(&client, "never"), &FULL);
    client.get(&document).expect(200);
    eventually("events go to the spool", || {
        let answer = report(&client, "full").expect(201).json();
        events.push(answer["id"].as_str().expect("an id").to_owned());
        (answer["stored"] == "spool").then_some(())
    });

    // Nothing can be written any more, the log's lines included.
    limit_files(&server, Some(1));
    for number in 0..20 {
        assert_refused(create(&client, "never"), &NOTHING);
        assert_refused(report(&client, &format!("never {number}")), &["events_not_accepted"]);
        client.get(&document).expect(200);
        client.get(ERRORS).expect(200);
    }
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(
        account["dropped"]["spoolFailed"]
            .as_u64()
            .max(account["dropped"]["spoolFull"].as_u64())
            >= Some(20),
        "{account}"
    );

    limit_files(&server, None);
    eventually("the spool is replayed", || {
        (stats(&client)["ledger"]["spooled"] == 0).then_some(())
    });
    await_breaker(&client, "app.write", "CLOSED");
    documents.extend(created(&client, numbered("after", 5)));
    events.extend(reported(&client, numbered("after", 5)));
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.iter().any(|marker| marker == "never"));
    let found = all_events(&client);
    assert_once("events", &events, &member(&found, "id"));
    assert_nothing_refused(&found);
}

#[test]
fn fault_09_a_spool_whose_folder_is_gone_refuses_and_counts_and_comes_back() {
    let (server, client) = started();
    let folder = server.data_dir().join("spool");
    let lock = OtherProcess::hold(&server, "events.db");
    let destroyed = reported(&client, numbered("destroyed", 3));
    // Moved first, in one step, because events of Mainstay's own may just be going there.
    let aside = server.folder().join("aside");
    std::fs::rename(&folder, &aside).expect("moved");
    std::fs::remove_dir_all(&aside).expect("removed");
    // It would be made again by itself, if nothing stood in its place.
    std::fs::write(&folder, "in the way").expect("written");
    for number in 0..10 {
        assert_refused(report(&client, &format!("never {number}")), &["events_not_accepted"]);
    }
    create(&client, "the other file is well").expect(201);
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(account["dropped"]["spoolFailed"].as_u64() >= Some(10), "{account}");

    std::fs::remove_file(&folder).expect("out of the way");
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

#[test]
fn fault_19_read_only_files_refuse_writes_and_keep_reading() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        println!("skipped: permissions don't bind root");
        return;
    }
    // Connections open for long keep their rights, as descriptors do; new ones have those of now.
    let server = Server::start(&[SHORT, &[("DB_MAX_LIFETIME", "1")]].concat());
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    let document = one_document(&client);
    let permit = |mode: u32, folder_mode: u32| {
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
        set(&server.data_dir().join("app.db"), mode);
        set(&server.data_dir(), folder_mode);
    };
    permit(0o444, 0o555);
    eventually("writes are refused", || {
        (create(&client, "refused").status == 503).then_some(())
    });
    await_breaker(&client, "app.write", "OPEN");
    assert_refused(create(&client, "refused"), &["database_read_only"]);
    client.get(&document).expect(200);
    permit(0o644, 0o755);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
}
