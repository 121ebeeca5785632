//! What happens to the file and its disk, through the front door; each test has the number of its fault in the list of
//! faults to survive.
//!
//! What must stay true: the real thing is broken (a small file system, overwritten pages, an index that lacks a row);
//! a test that needs rights which it hasn't says so.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::work::{OtherProcess, all_documents, assert_once, await_breaker, be_the_other_process, member, stats};
use common::{Answer, Client, SHORT, Server, eventually};
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::{Value, json};

const NOTES: &str = "/api/data/notes";
const ERRORS: &str = "/api/monitoring/errors";
const HEALTH: &str = "/api/monitoring/health";
/// Several times the open time of a breaker in [`SHORT`]: a breaker that is not held would have let a probe through.
const LONG_ENOUGH_FOR_PROBES: Duration = Duration::from_secs(4);

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

/// A file system of our own in memory.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, having said why, without the right to mount.
    fn of(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        match mount.output() {
            Ok(done) if done.status.success() => Some(Self(folder)),
            _ => {
                println!("skipped: a small file system can't be mounted here, which takes root");
                None
            }
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn server(&self) -> (Server, Client) {
        let data_dir = self.data_dir();
        let data_dir = data_dir.to_str().expect("a path");
        let server = Server::start(&[SHORT, &[("MAINSTAY_DATA_DIR", data_dir)]].concat());
        let client = server.client();
        client.put(NOTES, &json!({})).expect(201);
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

fn create(client: &Client, marker: &str, bytes: usize) -> Answer {
    client.post(NOTES, &json!({ "marker": marker, "text": "x".repeat(bytes) }))
}

fn report(client: &Client, message: &str) -> Answer {
    client.post(ERRORS, &json!({ "message": message, "source": "storage" }))
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (503, &json!(code)),
        "{answer:?}"
    );
    assert!(answer.header("Retry-After").is_some(), "{answer:?}");
}

fn health(client: &Client) -> Value {
    client.get(HEALTH).json()
}

/// Waits until a reason in health contains all of these.
fn await_reason(client: &Client, parts: &[&str]) -> String {
    eventually(&format!("health says {parts:?}"), || {
        let seen = health(client);
        let reasons = seen["because"].as_array()?.iter().filter_map(Value::as_str);
        reasons
            .map(str::to_owned)
            .find(|reason| parts.iter().all(|part| reason.contains(part)))
    })
}

fn until_well(client: &Client) {
    eventually("healthy again", || {
        (health(client)["status"] == "healthy").then_some(())
    });
}

/// Small writes would pass; the breaker must not believe them.
fn stays_refused(client: &Client, code: &str) {
    let until = Instant::now() + LONG_ENOUGH_FOR_PROBES;
    while Instant::now() < until {
        assert_refused(&create(client, "never", 1), code);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn fault_05_and_06_a_full_disk_refuses_changes_until_a_write_of_full_size_passes() {
    let Some(disk) = Disk::of("size=96m") else { return };
    let (_server, client) = disk.server();
    let reserve = disk.data_dir().join("app.db-reserve");
    assert!(reserve.exists(), "held back from the start");
    let id = create(&client, "first", 1).expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut documents = vec!["first".to_owned()];

    let filler = disk.fill();
    let refused = eventually("the disk is full", || {
        let marker = format!("kept {}", documents.len());
        let answer = create(&client, &marker, 200_000);
        if answer.status == 201 {
            documents.push(marker);
        }
        (answer.status != 201).then_some(answer)
    });
    assert_refused(&refused, "database_read_only");
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
    create(&client, "after", 200_000).expect(201);
    until_well(&client);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.contains(&"never".to_owned()));
}

#[test]
fn fault_07_a_file_size_limit_is_a_full_disk() {
    let server = Server::start(SHORT);
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    let limit = |bytes: Option<u64>| {
        let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        rustix::process::prlimit(pid, Resource::Fsize, limit).expect("set");
    };
    // The log is past it by then, the spool isn't.
    create(&client, "first", 600_000).expect(201);
    limit(Some(512 << 10));
    let refused = eventually("writes are refused", || {
        Some(create(&client, "never", 100_000)).filter(|answer| answer.status != 201)
    });
    assert_refused(&refused, "database_read_only");
    await_reason(&client, &["disk: full: app"]);
    client.get(NOTES).expect(200);
    stays_refused(&client, "database_read_only");
    limit(None);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after", 600_000).expect(201);
    until_well(&client);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &["first".to_owned(), "after".to_owned()], &there);
}

#[test]
fn fault_08_exhausted_inodes_are_named_and_cost_only_what_needs_a_new_file() {
    let Some(disk) = Disk::of("size=96m,nr_inodes=200") else {
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
    create(&client, "without inodes", 1000).expect(201);
    report(&client, "without inodes").expect(201);
    // The spool needs a segment of its own, which can't be made: refused, not lost.
    let lock = OtherProcess::hold_path(&disk.data_dir().join("events.db"), "BEGIN IMMEDIATE");
    let refused = eventually("reports are refused", || {
        Some(report(&client, "never")).filter(|answer| answer.status != 201)
    });
    assert_refused(&refused, "events_not_accepted");
    files.iter().for_each(|path| fs::remove_file(path).expect("removed"));
    report(&client, "into the spool").expect(201);
    lock.release();
    until_well(&client);
}

#[test]
fn fault_09_a_full_disk_below_the_spool_too_refuses_reports_and_counts_what_is_lost() {
    let Some(disk) = Disk::of("size=96m") else { return };
    let (_server, client) = disk.server();
    let filler = disk.fill();
    let refused = eventually("the disk is full", || {
        Some(create(&client, "never", 200_000)).filter(|answer| answer.status != 201)
    });
    assert_refused(&refused, "database_read_only");
    let mut events = Vec::new();
    // The room that the reserves gave up takes some; then that is gone too.
    let refused = eventually("reports are refused", || {
        let details = "x".repeat(100_000);
        let event = json!({ "message": "on a full disk", "source": "storage", "details": { "text": details } });
        let answer = client.post(ERRORS, &event);
        if answer.status == 201 {
            events.push(answer.json()["id"].as_str().expect("an id").to_owned());
            return None;
        }
        Some(answer)
    });
    assert_refused(&refused, "events_not_accepted");
    assert!(!events.is_empty(), "the reserve had room for some");
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    let dropped = &account["dropped"];
    let lost = dropped["spoolFull"].as_u64().unwrap_or(0) + dropped["spoolFailed"].as_u64().unwrap_or(0);
    assert!(lost > 0, "{account}");
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

/// Everything into the file itself, so that its pages are read from there.
fn empty_log(server: &Server, file: &str) {
    let other = server.other_party(file);
    eventually("the log is empty", || {
        let tried = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        (tried.expect("tried") == 0).then_some(())
    });
}

fn only_evidence(data_dir: &Path) -> PathBuf {
    let mut all: Vec<_> = fs::read_dir(data_dir.join("evidence"))
        .expect("a folder")
        .map(|entry| entry.expect("read").path())
        .collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn fault_13_a_corrupt_page_is_isolated_with_its_evidence_and_back_when_it_is_right() {
    let server = Server::start(SHORT);
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    create(&client, "first", 2000).expect(201);
    until_well(&client);
    let path = server.data_dir().join("app.db");
    let page: i64 = {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'documents'";
        server
            .other_party("app.db")
            .query_row(sql, [], |row| row.get(0))
            .expect("a page")
    };
    let offset = u64::try_from(page - 1).expect("a page") * 4096;
    // A probe's write may come in between and have the page in the log again.
    let (refused, right) = eventually("the damage is met", || {
        empty_log(&server, "app.db");
        let file = fs::File::options().read(true).write(true).open(&path).expect("opens");
        let mut right = vec![0; 4096];
        file.read_exact_at(&mut right, offset).expect("read");
        file.write_all_at(&[0xA5; 4096], offset).expect("written");
        let answer = client.get(&format!("{NOTES}?limit=500"));
        (answer.status != 200).then_some((answer, right))
    });
    assert_refused(&refused, "database_damaged");
    await_breaker(&client, "app.write", "ISOLATED");
    let told = await_reason(&client, &["app: a copy of the file", "evidence/"]);
    let evidence = only_evidence(&server.data_dir());
    assert!(
        told.ends_with(evidence.file_name().expect("a name").to_str().expect("text")),
        "{told}"
    );
    let copy = fs::read(evidence.join("app.db")).expect("copied");
    let start = usize::try_from(offset).expect("small");
    assert!(
        copy[start..start + 4096].iter().all(|byte| *byte == 0xA5),
        "as it was found"
    );
    let found = fs::read_to_string(evidence.join("found.txt")).expect("a text");
    assert!(found.contains("Database: app"), "{found}");
    report(&client, "the log goes on").expect(201);
    // There is no index to make anew, and only a good verdict lets it back.
    client
        .post("/api/monitoring/databases/app/reindex", &json!({}))
        .expect(409);

    let file = fs::File::options().write(true).open(&path).expect("opens");
    file.write_all_at(&right, offset).expect("written");
    await_breaker(&client, "app.write", "CLOSED");
    until_well(&client);
    create(&client, "after", 1).expect(201);
}

/// Rows change while the index doesn't look: a file whose data is whole and whose index is wrong.
fn spoil_index(server: &Server, file: &str, index: &str, change: &str) {
    let other = server.other_party(file);
    let read = "SELECT rootpage, tbl_name, sql FROM sqlite_schema WHERE name = ?1";
    let (root, table, sql): (i64, String, String) = other
        .query_row(read, [index], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("an index");
    other.execute_batch("PRAGMA writable_schema = ON").expect("set");
    other
        .execute("DELETE FROM sqlite_schema WHERE name = ?1", [index])
        .expect("hidden");
    drop(other);
    let other = server.other_party(file);
    other.execute_batch(change).expect("changed");
    other.execute_batch("PRAGMA writable_schema = ON").expect("set");
    other
        .execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)",
            (index, table, root, sql),
        )
        .expect("shown again");
}

#[test]
fn fault_14_a_corrupt_index_is_named_and_made_anew_on_request() {
    let server = Server::start(SHORT);
    let client = server.client();
    let reindex = |name: &str| client.post(&format!("/api/monitoring/databases/{name}/reindex"), &json!({}));
    reindex("app").expect(409);
    reindex("nothing").expect(404);
    report(&client, "again and again").expect(201);
    eventually("it is stored", || {
        (stats(&client)["ledger"]["stored"].as_u64() > Some(0)).then_some(())
    });
    spoil_index(
        &server,
        "events.db",
        "groups_by_count",
        "UPDATE groups SET count = count + 1000",
    );
    report(&client, "again and again").expect(201);
    await_breaker(&client, "events.write", "ISOLATED");
    await_reason(
        &client,
        &[
            "events: ",
            "the index groups_by_count is wrong",
            "/databases/events/reindex",
        ],
    );
    // Its pages are in order, and still it is not let back by itself.
    std::thread::sleep(LONG_ENOUGH_FOR_PROBES);
    await_breaker(&client, "events.write", "ISOLATED");
    assert!(only_evidence(&server.data_dir()).join("events.db").exists());

    let made = reindex("events").expect(200).json();
    assert_eq!(made["reindexed"], json!(["groups_by_count"]), "{made}");
    await_breaker(&client, "events.write", "CLOSED");
    until_well(&client);
    report(&client, "again and again").expect(201);
    reindex("events").expect(409);
}

#[test]
fn fault_16_another_programs_data_in_the_same_file_is_seen_and_isolated() {
    let server = Server::start(SHORT);
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
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
    create(&client, "after", 1).expect(201);
}

/// A file system of our own on a file, which can be made to fail.
struct Ext4 {
    folder: tempfile::TempDir,
    trigger: PathBuf,
}

impl Ext4 {
    /// `None`, having said why, without the right to mount or the tools to make one.
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        fs::File::create(&image)
            .expect("made")
            .set_len(128 << 20)
            .expect("sized");
        fs::create_dir(&mount).expect("made");
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let done = Command::new(program).args(arguments).output();
            done.ok().filter(|done| done.status.success())
        };
        let made = run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()]);
        let options = "loop,errors=remount-ro".as_ref();
        let trigger = made
            .and_then(|_| run("mount", &["-o".as_ref(), options, image.as_os_str(), mount.as_os_str()]))
            .and_then(|_| {
                run(
                    "findmnt",
                    &["-n".as_ref(), "-o".as_ref(), "SOURCE".as_ref(), mount.as_os_str()],
                )
            })
            .and_then(|found| String::from_utf8(found.stdout).ok())
            .map(|device| {
                Path::new("/sys/fs/ext4")
                    .join(device.trim().trim_start_matches("/dev/"))
                    .join("trigger_fs_error")
            });
        let this = Self {
            folder,
            trigger: trigger.unwrap_or_default(),
        };
        if this.trigger.exists() {
            return Some(this);
        }
        println!("skipped: a file system on a file can't be made and mounted here, which takes root");
        None
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path().join("mount"))
            .status();
    }
}

#[test]
fn fault_18_a_file_system_that_turned_read_only_keeps_reading() {
    let Some(disk) = Ext4::mounted() else { return };
    let data_dir = disk.folder.path().join("mount/data");
    let settings = [SHORT, &[("MAINSTAY_DATA_DIR", data_dir.to_str().expect("a path"))]].concat();
    let server = Server::start(&settings);
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    let id = create(&client, "first", 1).expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    fs::write(&disk.trigger, "1").expect("failed");
    let refused = eventually("writes are refused", || {
        Some(create(&client, "never", 1)).filter(|answer| answer.status != 201)
    });
    assert_refused(&refused, "database_read_only");
    await_reason(&client, &["app.write", "READONLY"]);
    for _ in 0..20 {
        client.get(&format!("{NOTES}/{id}")).expect(200);
        assert_refused(&create(&client, "never", 1), "database_read_only");
    }
    // The kernel lets nobody make such a file system writable again while its files are open.
}

#[test]
fn fault_19_files_without_permission_keep_reading_and_recover() {
    use std::os::unix::fs::PermissionsExt;
    // Connections open for long keep their rights, as descriptors do; new ones have those of now.
    let server = Server::start_by(
        common::bound_by_permissions,
        &[SHORT, &[("DB_MAX_LIFETIME", "1")]].concat(),
    );
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    let id = create(&client, "first", 1).expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let permit = |mode: u32, folder_mode: u32| {
        let set = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
        set(&server.data_dir().join("app.db"), mode);
        set(&server.data_dir(), folder_mode);
    };
    permit(0o444, 0o555);
    let refused = eventually("writes are refused", || {
        Some(create(&client, "never", 1)).filter(|answer| answer.status != 201)
    });
    assert_refused(&refused, "database_read_only");
    client.get(&format!("{NOTES}/{id}")).expect(200);
    permit(0o644, 0o755);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after", 1).expect(201);
    until_well(&client);
}
