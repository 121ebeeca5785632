//! Starting the real binary: what stops it, in which words, and what must not; and its other commands.

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use common::{SHORT, Server, eventually, mainstay};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A run that ends by itself.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = mainstay(folder);
    // A run that should have been refused must not come into the way of another one.
    command
        .env("ROCKET_PORT", "0")
        .envs(settings.iter().copied())
        .args(arguments);
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended {
        code: status.code(),
        out: text(stdout),
        err: text(stderr),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn every_wrong_setting_is_named_at_once_with_value_range_and_source() {
    let folder = folder();
    std::fs::write(folder.path().join("Rocket.toml"), "[default]\ndb_max_attempts = 0\n").expect("written");
    let wrong = [
        ("DB_POOL_MAX", "0"),
        ("DB_LOCK_TIMEOUT_MS", "10s"),
        ("MAINSTAY_DATA_DRI", "x"),
        ("ROCKET_PORT", "99999"),
    ];
    for command in [&[][..], &["serve"], &["config"]] {
        let refused = run(folder.path(), &wrong, command);
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{}", refused.err);
        for told in [
            "5 errors",
            "DB_POOL_MAX = \"0\": must be a whole number of connections from 1 to 1000 (from environment variable DB_POOL_MAX)",
            "DB_LOCK_TIMEOUT_MS = \"10s\": must be a whole number of milliseconds from 1 to 3600000",
            "MAINSTAY_DATA_DRI: is not a setting; the nearest known name is MAINSTAY_DATA_DIR",
            "ROCKET_PORT = \"99999\": must be a whole number from 0 to 65535",
            "DB_MAX_ATTEMPTS = \"0\": must be a whole number of attempts from 1 to 100",
            "Rocket.toml",
        ] {
            assert!(refused.err.contains(told), "{told}\nin {}", refused.err);
        }
    }
    assert!(!folder.path().join("data").exists(), "a refused start creates nothing");
}

#[test]
fn settings_are_shown_with_their_source_and_foreign_ones_only_warned_of() {
    let folder = folder();
    std::fs::write(folder.path().join("max"), "7\n").expect("written");
    let settings = [
        ("DB_POOL_MAX_FILE", "max"),
        ("DB_POOL_MXA", "3"),
        ("ROCKET_PORT", "4000"),
    ];
    let shown = run(folder.path(), &settings, &["config"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let line = |name: &str| {
        shown
            .out
            .lines()
            .find(|l| l.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line("DB_POOL_MAX ").contains(" 7 ") && line("DB_POOL_MAX ").contains("DB_POOL_MAX_FILE"),
        "{}",
        shown.out
    );
    assert!(
        line("DB_POOL_MIN ").ends_with("default") && line("ROCKET_PORT ").contains("4000"),
        "{}",
        shown.out
    );
    assert!(
        shown.err.contains("DB_POOL_MXA") && shown.err.contains("DB_POOL_MAX"),
        "{}",
        shown.err
    );

    let machine = run(folder.path(), &settings, &["config", "--json"]);
    let document: Value = serde_json::from_str(&machine.out).expect("JSON");
    let all = document["settings"].as_array().expect("a list");
    let max = all.iter().find(|s| s["name"] == "DB_POOL_MAX").expect("a row");
    assert_eq!(
        (&max["value"], &max["default"], &max["unit"]),
        (&json!("7"), &json!("50"), &json!("connections"))
    );
    assert_eq!(document["warnings"].as_array().map(Vec::len), Some(1));

    let twice = run(
        folder.path(),
        &[("DB_POOL_MAX_FILE", "max"), ("DB_POOL_MAX", "9")],
        &["config"],
    );
    assert!(
        twice.code == Some(2) && twice.err.contains("set twice"),
        "{}",
        twice.err
    );
    let absent = run(folder.path(), &[("DB_POOL_MAX_FILE", "absent")], &["config"]);
    assert!(
        absent.code == Some(2) && absent.err.contains("absent"),
        "{}",
        absent.err
    );
}

/// A start and a check on a folder with this `app.db` must both be refused with these words, and leave it as it was.
#[track_caller]
fn assert_refused_untouched(folder: &Path, file: &str, words: &[&str]) {
    let path = folder.join("data").join(file);
    let before = std::fs::read(&path).expect("read");
    let check = run(folder, &[], &["check"]);
    let started = run(folder, &[], &[]);
    for (ended, text) in [(&check, &check.out), (&started, &started.err)] {
        assert_eq!(ended.code, Some(1), "{text}");
        for word in words.iter().chain(&[file]) {
            assert!(text.contains(word), "{word}\nin {text}");
        }
    }
    assert_eq!(std::fs::read(&path).expect("read"), before, "{file} was changed");
    for leftover in ["-wal", "-shm", "-journal"] {
        assert!(
            !path.with_file_name(format!("{file}{leftover}")).exists(),
            "{leftover} was created"
        );
    }
}

#[test]
fn fault_15_a_file_that_is_not_ours_stops_the_start_and_is_left_as_it_was() {
    for file in ["app.db", "events.db"] {
        let folder = folder();
        let path = folder.path().join("data").join(file);
        std::fs::create_dir(folder.path().join("data")).expect("made");
        for garbage in [
            vec![9_u8; 9000],
            b"not a database".to_vec(),
            b"SQLite format 3\0 and then nothing".to_vec(),
        ] {
            std::fs::write(&path, garbage).expect("written");
            assert_refused_untouched(folder.path(), file, &["is not an SQLite database", "left untouched"]);
        }
        std::fs::remove_file(&path).expect("removed");
        let foreign = Connection::open(&path).expect("opens");
        foreign.execute_batch("CREATE TABLE theirs(x)").expect("made");
        drop(foreign);
        assert_refused_untouched(folder.path(), file, &["belongs to another program", "left untouched"]);
        // With changes in its WAL that a crash left there.
        let foreign = Connection::open(&path).expect("opens");
        foreign.pragma_update(None, "journal_mode", "WAL").expect("set");
        foreign.execute_batch("INSERT INTO theirs VALUES (1)").expect("written");
        let wal = path.with_file_name(format!("{file}-wal"));
        let (crashed, left) = (std::fs::read(&path).expect("read"), std::fs::read(&wal).expect("read"));
        drop(foreign);
        std::fs::write(&path, &crashed).expect("written");
        std::fs::write(&wal, &left).expect("written");
        assert_eq!(run(folder.path(), &[], &[]).code, Some(1));
        assert!(std::fs::read(&path).expect("read") == crashed && std::fs::read(&wal).expect("read") == left);
    }
}

#[test]
fn a_newer_schema_and_swapped_files_are_refused() {
    let mut server = Server::start(&[]);
    assert!(server.stop().success());
    let (data, folder) = (server.data_dir(), server.folder().to_owned());
    let newer = Connection::open(data.join("app.db")).expect("opens");
    newer.pragma_update(None, "journal_mode", "DELETE").expect("set");
    newer.pragma_update(None, "user_version", 99).expect("set");
    drop(newer);
    assert_refused_untouched(&folder, "app.db", &["schema version 99", "newer version"]);
    std::fs::copy(data.join("events.db"), data.join("app.db")).expect("copied");
    assert_refused_untouched(&folder, "app.db", &["belongs to another program"]);
}

#[test]
fn a_second_instance_is_refused_with_the_firsts_pid_and_does_no_harm() {
    let server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let second = run(server.folder(), &[], &[]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(
        second.err.contains(&format!("pid {}", server.pid())) && second.err.contains("MAINSTAY_DATA_DIR"),
        "{}",
        second.err
    );
    client.post("/api/data/notes", &json!({})).expect(201);
    // The claim outlives the refused one.
    assert_eq!(run(server.folder(), &[], &[]).code, Some(1));
    assert_eq!(run(server.folder(), &[], &["check"]).code, Some(0));
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = folder();
    let refused = run(folder.path(), &[("ROCKET_PORT", &port)], &[]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(
        refused.err.contains("cannot listen") && refused.err.contains(&port),
        "{}",
        refused.err
    );
    assert!(!refused.err.contains("panicked"), "{}", refused.err);
}

#[test]
fn a_data_folder_that_cannot_be_one_is_said_so() {
    let folder = folder();
    std::fs::write(folder.path().join("data"), "a file").expect("written");
    for (command, told) in [(&[][..], "MAINSTAY_DATA_DIR"), (&["check"], "is not a folder")] {
        let refused = run(folder.path(), &[], command);
        assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
        assert!((refused.out + &refused.err).contains(told), "{told}");
    }
    // Nobody can create a folder there, whoever runs the tests.
    let nowhere = run(folder.path(), &[("MAINSTAY_DATA_DIR", "/proc/mainstay")], &[]);
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.err);
    assert!(
        nowhere.err.contains("/proc/mainstay") && nowhere.err.contains("MAINSTAY_DATA_DIR"),
        "{}",
        nowhere.err
    );
}

#[test]
fn a_check_of_an_empty_folder_is_content_and_creates_nothing() {
    let folder = folder();
    let checked = run(folder.path(), &[], &["check"]);
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{}", checked.out);
    assert!(
        checked.out.lines().all(|line| line.starts_with("ok ")),
        "{}",
        checked.out
    );
    assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
    let wrong = run(folder.path(), &[("DB_POOL_MAX", "x")], &["check"]);
    assert!(
        wrong.code == Some(2) && wrong.out.starts_with("FAIL  configuration: DB_POOL_MAX"),
        "{}",
        wrong.out
    );
}

#[test]
fn every_command_explains_itself() {
    let folder = folder();
    let commands: [&[&str]; 8] = [
        &[],
        &["serve"],
        &["config"],
        &["check"],
        &["token"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
    ];
    for command in commands {
        let help = run(folder.path(), &[], &[command, &["--help"]].concat());
        assert_eq!(help.code, Some(0), "{command:?}: {}", help.err);
        assert!(help.out.contains("Usage: mainstay"), "{command:?}: {}", help.out);
        // `token` alone lists its commands, whose own help has the examples.
        assert!(
            help.out.contains("Example") || command == ["token"],
            "{command:?}: {}",
            help.out
        );
    }
    let version = run(folder.path(), &[], &["--version"]);
    assert_eq!(version.out.trim(), format!("mainstay {}", env!("CARGO_PKG_VERSION")));
    for mistake in [
        &["serv"][..],
        &["--hepl"],
        &["config", "extra"],
        &["token", "create", "--scope", "root"],
    ] {
        let refused = run(folder.path(), &[], mistake);
        assert!(
            refused.code == Some(2) && refused.err.contains("Usage") | refused.err.contains("possible values"),
            "{}",
            refused.err
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
}

#[test]
fn it_starts_while_another_process_holds_the_write_locks() {
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    assert!(server.stop().success());
    let locks = ["app.db", "events.db"].map(|file| server.hold_write_lock(file));
    server.restart();
    let client = server.client();
    client.get("/api/data/notes").expect(200);
    let event = client
        .post("/api/monitoring/errors", &json!({ "message": "while locked" }))
        .expect(201)
        .json();
    assert_eq!(event["stored"], "spool");
    client.post("/api/data/notes", &json!({ "id": "n1" })).expect(503);
    locks.into_iter().for_each(common::WriteLock::release);
    eventually("writes go on", || {
        (client.post("/api/data/notes", &json!({})).status == 201).then_some(())
    });
}

#[test]
fn what_an_earlier_run_left_in_the_spool_is_stored_at_the_next_start() {
    let mut server = Server::start(SHORT);
    let lock = server.hold_write_lock("events.db");
    let event = json!({ "message": "left behind" });
    let made = server
        .client()
        .post("/api/monitoring/errors", &event)
        .expect(201)
        .json();
    assert_eq!(made["stored"], "spool");
    server.kill();
    lock.release();
    server.restart();
    let client = server.client();
    let path = format!("/api/monitoring/errors/{}", made["id"].as_str().expect("an id"));
    eventually("it is stored", || (client.get(&path).status == 200).then_some(()));
    let found = client.get("/api/monitoring/errors?limit=500").json();
    let left = found["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|e| e["message"] == "left behind");
    assert_eq!(left.count(), 1);
    eventually("the spool is empty", || {
        (client.get("/api/monitoring/stats").json()["ledger"]["spooled"] == 0).then_some(())
    });
}

#[test]
fn a_database_file_that_is_gone_is_asked_for_and_not_made_anew() {
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    server
        .client()
        .post("/api/monitoring/errors", &json!({ "message": "kept" }))
        .expect(201);
    eventually("the event is stored", || {
        let stats = server.client().get("/api/monitoring/stats").json();
        (stats["ledger"]["stored"].as_u64() > Some(0)).then_some(())
    });
    assert!(server.stop().success());
    for name in ["app.db", "events.db"] {
        let (path, aside) = (server.data_dir().join(name), server.folder().join("aside"));
        std::fs::rename(&path, &aside).expect("moved away");
        let refused = run(server.folder(), &[], &[]);
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        for told in [
            name,
            "is missing or empty",
            "acknowledged commits",
            "-sequence",
            "Put the file back",
        ] {
            assert!(refused.err.contains(told), "{told}\nin {}", refused.err);
        }
        let checked = run(server.folder(), &[], &["check"]);
        assert!(
            checked.code == Some(1) && checked.out.contains("is missing or empty"),
            "{}",
            checked.out
        );
        assert!(!path.exists(), "nothing is created");
        std::fs::rename(&aside, &path).expect("put back");
    }
    server.restart();
    server.client().get("/api/data/notes").expect(200);
}

#[test]
fn what_sqlite_notes_of_a_start_after_a_kill_is_in_the_log_file() {
    let mut server = Server::start(SHORT);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    client.post("/api/data/notes", &json!({ "marker": "x" })).expect(201);
    server.kill();
    server.restart();
    let folder = server.data_dir().join("logs");
    let line = eventually("the recovery's line", || {
        let files = std::fs::read_dir(&folder).expect("a folder");
        let texts = files.filter_map(|file| std::fs::read_to_string(file.expect("read").path()).ok());
        let lines: Vec<String> = texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.into_iter().find(|line| line.contains("SQLite notes"))
    });
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (line["level"].as_str(), line["code"].as_i64()),
        (Some("INFO"), Some(283)),
        "{line}"
    );
    let text = line["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("recovered ") && text.contains("-wal"), "{line}");
}
