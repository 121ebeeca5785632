//! Storage that takes nothing more: a full disk, a file-size limit, no inodes, no folder for the spool.
//!
//! What must stay true: a test that needs rights which it hasn't gets them in a namespace, or fails and says so
//! (`mounts`).

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::trouble::limit_files;
use crate::common::work::{OtherProcess, all_documents, all_events, assert_once, await_breaker, member, stats};
use crate::common::{Client, SHORT, Server, eventually};
use crate::mounts::{cannot, name_of, passed_in_namespace};
use crate::{
    ERRORS, NOTES, assert_every_refusal_is_counted, assert_nothing_refused, assert_refused, await_reason, create,
    create_sized, created, health, numbered, one_document, report, reported, started, until_well, with_notes,
};

/// Several times the open time of a breaker in [`SHORT`]: a breaker that is not held would have let a probe through.
const LONG_ENOUGH_FOR_PROBES: Duration = Duration::from_secs(4);

/// A file system of our own in memory.
struct Disk(tempfile::TempDir);

/// A share of such a small disk is soon reached, and these tests look for every event again.
const KEEPS_ALL: (&str, &str) = ("MAINSTAY_EVENTS_MAX_DISK_PERCENT", "0");

impl Disk {
    /// For this test. `None`: it has passed in a namespace of its own, or may be skipped.
    fn of(options: &str, test: impl Fn()) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        let test = name_of(test);
        if !passed_in_namespace(test) {
            cannot(
                test,
                "a small file system: root, or user namespaces (`unshare -Urm`) for everybody",
            );
        }
        None
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn server(&self) -> (Server, Client) {
        let data_dir = self.data_dir();
        let data_dir = data_dir.to_str().expect("a path");
        let settings = [("MAINSTAY_DATA_DIR", data_dir), KEEPS_ALL];
        let server = Server::start(&[SHORT, &settings].concat());
        let client = with_notes(&server);
        (server, client)
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = fs::File::create(&path).expect("made");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0xF1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server of the test has ended by now; a detached one goes with its last file.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Small writes would pass; the breaker must not believe them.
fn stays_refused(client: &Client, code: &str) {
    let until = Instant::now() + LONG_ENOUGH_FOR_PROBES;
    while Instant::now() < until {
        assert_refused(create_sized(client, "never", 1), &[code]);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn fault_05_and_06_a_full_disk_refuses_changes_until_a_write_of_full_size_passes() {
    let Some(disk) = Disk::of(
        "size=96m",
        fault_05_and_06_a_full_disk_refuses_changes_until_a_write_of_full_size_passes,
    ) else {
        return;
    };
    let (_server, client) = disk.server();
    let reserve = disk.data_dir().join("app.db-reserve");
    assert!(reserve.exists(), "held back from the start");
    let id = create(&client, "first").expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut documents = vec!["first".to_owned()];

    let filler = disk.fill();
    let refused = eventually("the disk is full", || {
        let marker = format!("kept {}", documents.len());
        let answer = create_sized(&client, &marker, 200_000);
        if answer.status == 201 {
            documents.push(marker);
        }
        (answer.status != 201).then_some(answer)
    });
    assert_refused(refused, &["database_read_only"]);
    assert!(!reserve.exists(), "given up");
    await_reason(&client, &["disk: full: app"]);
    client.get(&format!("{NOTES}/{id}")).expect(200);
    // The room that was given up keeps the log of errors going.
    report(&client, "on a full disk").expect(201);
    stays_refused(&client, "database_read_only");
    assert_eq!(stats(&client)["ledger"]["balanced"], true);

    fs::remove_file(filler).expect("freed");
    await_breaker(&client, "app.write", "CLOSED");
    assert!(reserve.exists(), "made again before the breaker closed");
    documents.push("after".to_owned());
    create_sized(&client, "after", 200_000).expect(201);
    until_well(&client);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.contains(&"never".to_owned()));
}

#[test]
fn fault_07_a_file_size_limit_is_a_full_disk() {
    const FULL: [&str; 1] = ["database_read_only"];
    // With no byte to write at all SQLite can't even make its shared memory, which it doesn't call full.
    const NOTHING: [&str; 2] = ["database_read_only", "database_unavailable"];
    let (server, client) = started();
    let mut documents = created(&client, numbered("before", 100));
    let mut events = reported(&client, numbered("before", 100));
    let document = one_document(&client);

    // The databases are past this limit, the spool isn't.
    limit_files(server.pid(), Some(64 << 10));
    // A log that was just begun anew has a little room below the limit.
    let first = eventually("writes are refused", || {
        let marker = format!("below the limit {}", documents.len());
        let answer = create(&client, &marker);
        if answer.status == 201 {
            documents.push(marker);
        }
        (answer.status != 201).then_some(answer)
    });
    assert_refused(first, &FULL);
    await_breaker(&client, "app.write", "OPEN");
    assert_refused(create(&client, "never"), &FULL);
    await_reason(&client, &["disk: full: app"]);
    client.get(&document).expect(200);
    stays_refused(&client, FULL[0]);
    eventually("events go to the spool", || {
        let answer = report(&client, "full").expect(201).json();
        events.push(answer["id"].as_str().expect("an id").to_owned());
        (answer["stored"] == "spool").then_some(())
    });

    // Nothing can be written any more, the log's lines included.
    limit_files(server.pid(), Some(1));
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

    limit_files(server.pid(), None);
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
    until_well(&client);
}

#[test]
fn fault_08_exhausted_inodes_are_named_and_cost_only_what_needs_a_new_file() {
    let Some(disk) = Disk::of(
        "size=96m,nr_inodes=200",
        fault_08_exhausted_inodes_are_named_and_cost_only_what_needs_a_new_file,
    ) else {
        return;
    };
    let (_server, client) = disk.server();
    until_well(&client);
    let files: Vec<_> = (0..400)
        .map(|number| disk.0.path().join(format!("inode-{number}")))
        .take_while(|path| fs::File::create(path).is_ok())
        .collect();
    await_reason(&client, &["disk: no inodes free"]);
    assert_eq!(health(&client)["components"]["disk"]["freeInodes"], 0);
    // What is open goes on.
    create(&client, "without inodes").expect(201);
    report(&client, "without inodes").expect(201);
    // The spool needs a segment of its own, which can't be made: it has one that was held back.
    let lock = OtherProcess::hold_path(&disk.data_dir().join("events.db"), "BEGIN IMMEDIATE");
    let spare = disk.data_dir().join("spool/spare.segment");
    assert!(spare.exists(), "held back from the start");
    let event = json!({ "message": "into the spare", "source": "storage", "details": { "text": "x".repeat(200_000) } });
    let answer = client.post(ERRORS, &event).expect(201).json();
    assert!(answer["stored"] == "spool" && !spare.exists(), "{answer}");
    let mut events = vec![answer["id"].as_str().expect("an id").to_owned()];
    // When that is full, what comes is refused, not lost.
    let refused = eventually("reports are refused", || {
        let answer = client.post(ERRORS, &event);
        if answer.status == 201 {
            events.push(answer.json()["id"].as_str().expect("an id").to_owned());
        }
        Some(answer).filter(|answer| answer.status != 201)
    });
    assert_refused(refused, &["events_not_accepted"]);
    assert!(events.len() >= 30, "{} events in 8 MiB", events.len());
    files.iter().for_each(|path| fs::remove_file(path).expect("removed"));
    report(&client, "into the spool").expect(201);
    lock.release();
    until_well(&client);
    for id in events {
        client.get(&format!("{ERRORS}/{id}")).expect(200);
    }
    assert!(spare.exists(), "made again");
}

#[test]
fn fault_09_a_full_disk_below_the_spool_too_refuses_reports_and_counts_what_is_lost() {
    let Some(disk) = Disk::of(
        "size=96m",
        fault_09_a_full_disk_below_the_spool_too_refuses_reports_and_counts_what_is_lost,
    ) else {
        return;
    };
    let (_server, client) = disk.server();
    let filler = disk.fill();
    let refused = eventually("the disk is full", || {
        Some(create_sized(&client, "never", 200_000)).filter(|answer| answer.status != 201)
    });
    assert_refused(refused, &["database_read_only"]);
    let mut events = Vec::new();
    // The room that the reserves gave up takes some; then that is gone too.
    let details = "x".repeat(100_000);
    let event = json!({ "message": "on a full disk", "source": "storage", "details": { "text": details } });
    let mut send = || {
        let answer = client.post(ERRORS, &event);
        if answer.status == 201 {
            events.push(answer.json()["id"].as_str().expect("an id").to_owned());
            return false;
        }
        assert_refused(answer, &["events_not_accepted"]);
        true
    };
    eventually("reports are refused", || send().then_some(()));
    assert_every_refusal_is_counted(&client, send);
    assert!(
        events.len() >= 80,
        "the spare segment alone has room for 80, not {}",
        events.len()
    );
    assert!(!disk.data_dir().join("spool/spare.segment").exists(), "in use");
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    client.get(NOTES).expect(200);

    fs::remove_file(filler).expect("freed");
    until_well(&client);
    let after = eventually("the spool is empty", || {
        Some(stats(&client)["ledger"].clone()).filter(|seen| seen["spooled"] == 0 && seen["inFlight"] == 0)
    });
    assert_eq!(after["balanced"], true, "{after}");
    for id in events {
        client.get(&format!("{ERRORS}/{id}")).expect(200);
    }
}

#[test]
fn fault_05_a_start_on_a_full_disk_reads_and_says_so_and_heals() {
    let Some(disk) = Disk::of("size=96m", fault_05_a_start_on_a_full_disk_reads_and_says_so_and_heals) else {
        return;
    };
    let (mut server, client) = disk.server();
    create(&client, "before").expect(201);
    assert!(server.stop().success());
    let filler = disk.fill();
    // No log and no shared memory are left that SQLite could go on with.
    assert!(!disk.data_dir().join("app.db-shm").exists());
    server.restart();
    let client = server.client();
    client.get(NOTES).expect(200);
    await_reason(&client, &["disk: full: app"]);
    assert_refused(create(&client, "never"), &["database_read_only"]);

    fs::remove_file(filler).expect("freed");
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    until_well(&client);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_eq!(there.len(), 2, "{there:?}");
    // Without a reserve to give up it says what is wrong.
    assert!(server.stop().success());
    for name in ["app.db-reserve", "events.db-reserve"] {
        fs::remove_file(disk.data_dir().join(name)).expect("removed");
    }
    let _ = disk.fill();
    let mut again = crate::common::mainstay(server.folder());
    let refused = again
        .envs([
            ("ROCKET_PORT", "0"),
            ("MAINSTAY_DATA_DIR", disk.data_dir().to_str().expect("a path")),
        ])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && told.contains("the disk is full") && told.contains("KiB are needed"),
        "{told}"
    );
}

/// Error events of about 2 KiB each, for the event log.
fn report_large(client: &Client, count: usize) {
    for begin in (0..count).step_by(500) {
        let line = |number: usize| {
            let event = json!({
                "message": format!("large number {number}"), "fingerprint": ["large"],
                "details": { "padding": "x".repeat(2000) },
            });
            format!("{event}\n")
        };
        let lines: String = (begin..begin + 500).map(line).collect();
        client
            .send("POST", ERRORS, Some(("application/x-ndjson", lines.as_bytes())))
            .expect(200);
    }
}

#[test]
fn on_a_low_disk_error_events_make_room_before_it_is_full() {
    let Some(disk) = Disk::of("size=128m", on_a_low_disk_error_events_make_room_before_it_is_full) else {
        return;
    };
    let data_dir = disk.data_dir();
    let settings = [
        ("MAINSTAY_DATA_DIR", data_dir.to_str().expect("a path")),
        ("MAINSTAY_EVENTS_MAX_DISK_PERCENT", "50"),
    ];
    let server = Server::start(&settings);
    let client = with_notes(&server);
    report_large(&client, 12_000);
    let free = || {
        rustix::fs::statvfs(disk.0.path())
            .map(|s| s.f_bavail * s.f_frsize)
            .expect("known")
    };
    // Less than a tenth of the disk is little: 12.8 MiB.
    let mut filler = fs::File::create(disk.0.path().join("filler")).expect("made");
    while free() > 9 << 20 {
        filler.write_all(&vec![0xF1; 1 << 16]).expect("there is room");
    }
    let removed = |client: &Client| stats(client)["ledger"]["removed"]["disk"].as_u64().unwrap_or(0);
    eventually("room was made", || {
        (removed(&client) > 0 && free() > 13 << 20).then_some(())
    });
    assert_eq!(health(&client)["databaseHealthy"], true, "it was never full");
    eventually("it is told", || {
        let found = client
            .get(&format!("{ERRORS}?q=leave&source=mainstay"))
            .expect(200)
            .json();
        found["errors"][0]["message"]
            .as_str()
            .filter(|text| text.contains("the disk is low"))
            .map(drop)
    });
    let account = stats(&client);
    assert_eq!(account["ledger"]["balanced"], true, "{account}");
    assert_eq!(
        account["errors"]["total"].as_u64().map(|left| left > 1000),
        Some(true),
        "a quarter of the budget stays"
    );
}
