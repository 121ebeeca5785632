//! `mainstay errors import` at the front door of the real binary: with a server and without, killed and resumed, and
//! what it says.

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::transfer::{assert_all_once, exported, file, import, imported, line, told};
use common::work::{OtherProcess, await_empty_spool, be_the_other_process, stats};
use common::{SHORT, Server, eventually};
use rusqlite::Connection;
use serde_json::json;

#[test]
#[ignore = "not a test: the process that holds a lock"]
fn the_other_process() {
    be_the_other_process();
}

fn result(accepted: usize, duplicates: usize, rejected: usize) -> String {
    format!("accepted {accepted}, duplicates {duplicates}, rejected {rejected}")
}

/// Rows of events.db, by another party; 0 while there are none.
fn rows(folder: &Path) -> u64 {
    let path = folder.join("data/events.db");
    let opened = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = |c: Connection| {
        c.query_row("SELECT count(*) FROM events WHERE source = 'file'", [], |row| {
            row.get(0)
        })
    };
    u64::try_from(opened.and_then(count).unwrap_or(0_i64)).expect("a count")
}

fn pack(path: &Path, zstd: bool) -> String {
    let plain = std::fs::read(path).expect("read");
    let packed = if zstd {
        ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest)
    } else {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&plain).expect("packed");
        packer.finish().expect("packed")
    };
    let name = path.with_extension(if zstd { "zst" } else { "gz" });
    std::fs::write(&name, packed).expect("written");
    name.display().to_string()
}

const MIXED: &str = "\
{\"message\": \"first\", \"timestamp\": \"2026-01-31T08:30:00.123Z\", \"source\": \"shop\"}

{\"severity\": \"low\"}
not JSON
{\"message\": \"first\", \"timestamp\": \"2026-01-31T08:30:00.123Z\", \"source\": \"shop\"}
{\"message\": \"m\", \"colour\": 1, \"type\": \"odd\"}
{\"id\": \"00000000-0000-7000-8000-00000000beef\", \"message\": \"last\", \"source\": \"shop\"}";

fn assert_mixed_is_told(err: &str) {
    let lines: Vec<&str> = err.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(lines.len(), 3, "{err}");
    assert_eq!(lines[0], "line 3: /message is required");
    assert!(lines[1].starts_with("line 4: is not valid JSON: expected "), "{err}");
    let both = "line 6: /colour is not a known member; allowed are id, ";
    assert!(lines[2].starts_with(both) && lines[2].ends_with("; /type must be one of database, socket, api, system"));
}

#[test]
fn each_line_has_its_answer_with_a_server_and_without() {
    for with_server in [true, false] {
        // Its times are old.
        let mut server = Server::start(&[("MAINSTAY_EVENTS_MAX_DAYS", "0")]);
        if !with_server {
            assert!(server.stop().success());
        }
        std::fs::write(server.folder().join("mixed.ndjson"), MIXED).expect("written");
        let (code, out, err) = told(&imported(server.folder(), &["mixed.ndjson"]));
        assert_eq!((code, out), (Some(1), result(3, 0, 3)), "{err}");
        assert_mixed_is_told(&err);
        // Once more, also by another way and with a wrong line mended: what is there is known.
        let mended = MIXED.replace("not JSON", "{\"message\": \"mended\", \"source\": \"shop\"}")
            + "\n{\"message\": \"more\"}\n";
        std::fs::write(server.folder().join("mended.ndjson"), &mended).expect("written");
        let packed = pack(&server.folder().join("mended.ndjson"), with_server);
        let (code, out, _) = told(&imported(server.folder(), &[&packed]));
        assert_eq!((code, out), (Some(1), result(2, 3, 2)));
        let mut child = import(server.folder(), &["-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it runs");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(mended.as_bytes())
            .expect("written");
        let (_, out, err) = told(&child.wait_with_output().expect("it ends"));
        assert_eq!(out, result(0, 5, 2));
        assert!(
            err.contains("4 of the duplicates are lines without an id that an earlier run took"),
            "{err}"
        );
        let other = imported(server.folder(), &["mended.ndjson", "--label", "another file"]);
        assert_eq!(told(&other).1, result(4, 1, 2));
        if !with_server {
            server.restart();
        }
        let client = server.client();
        let events = exported(&client, "?source=shop&until=30d");
        assert_eq!(events.len(), 4, "two lines by two labels");
        assert!(
            events
                .iter()
                .all(|event| event["timestamp"] == "2026-01-31T08:30:00.123Z")
        );
        let ledger = stats(&client)["ledger"].clone();
        assert_eq!(ledger["balanced"], true, "{ledger}");
        let found = common::transfer::exported(&client, "?q=mended");
        assert_eq!(found.len(), 2, "the text index has them");
    }
}

#[test]
fn what_cannot_be_begun_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, expected) in [
        ("absent.ndjson", "absent.ndjson can't be read: "),
        (".", ". can't be read: "),
    ] {
        let (code, out, err) = told(&imported(folder.path(), &[file]));
        assert!(
            code == Some(1) && out.is_empty() && err.starts_with(&format!("mainstay: {expected}")),
            "{err}"
        );
    }
    assert_eq!(imported(folder.path(), &[]).status.code(), Some(2));
    assert!(!folder.path().join("data").exists(), "nothing was made");
    file(folder.path(), "file.ndjson", 500, 100);
    // Cut short: what is before the cut is taken.
    let packed = pack(&folder.path().join("file.ndjson"), false);
    let whole = std::fs::read(&packed).expect("read");
    std::fs::write(&packed, &whole[..whole.len() / 2]).expect("written");
    let (code, out, err) = told(&imported(folder.path(), &[&packed]));
    assert_eq!(code, Some(1));
    let taken: usize = out
        .split([' ', ','])
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    assert!((1..500).contains(&taken), "{out}");
    let expected = format!("mainstay: not finished, from line {} on: can't be read on: ", taken + 1);
    assert!(err.starts_with(&expected), "{err}");
    let (code, out, _) = told(&imported(folder.path(), &["file.ndjson"]));
    assert_eq!((code, out), (Some(0), result(500 - taken, taken, 0)));
    // A file that isn't ours is left alone.
    std::fs::write(folder.path().join("data/events.db"), "garbage".repeat(2000)).expect("written");
    let (code, _, err) = told(&imported(folder.path(), &["file.ndjson"]));
    assert!(code == Some(1) && err.contains("events.db"), "{err}");
    assert!(
        std::fs::read(folder.path().join("data/events.db"))
            .expect("read")
            .starts_with(b"garbage")
    );
}

#[test]
fn a_server_with_tokens_wants_one_that_may() {
    let server = Server::start(&[]);
    let token = |scope: &str| server.token(&["create", "--scope", scope]);
    let (writes, reports) = (token("monitor:write"), token("ingest"));
    eventually("the tokens are known", || {
        (server.client().get("/api/monitoring/errors").status == 401).then_some(())
    });
    file(server.folder(), "file.ndjson", 3, 10);
    let (code, out, err) = told(&imported(server.folder(), &["file.ndjson"]));
    assert_eq!((code, out), (Some(1), result(0, 0, 0)));
    assert!(
        err.contains("401 unauthorized") && err.contains("MAINSTAY_TOKEN"),
        "{err}"
    );
    let (code, _, err) = told(&imported(server.folder(), &["file.ndjson", "--token", &reports]));
    assert!(code == Some(1) && err.contains("403 forbidden"), "{err}");
    let by_option = imported(server.folder(), &["file.ndjson", "--token", &writes]);
    assert_eq!(told(&by_option).1, result(3, 0, 0));
    let by_variable = import(server.folder(), &["file.ndjson"])
        .env("MAINSTAY_TOKEN", &writes)
        .output()
        .expect("runs");
    assert_eq!(told(&by_variable).1, result(0, 3, 0));
    std::fs::write(server.folder().join("token"), format!("{writes}\n")).expect("written");
    let by_file = import(server.folder(), &["file.ndjson"])
        .env("MAINSTAY_TOKEN_FILE", "token")
        .output()
        .expect("runs");
    assert_eq!(told(&by_file).1, result(0, 3, 0));
}

#[test]
fn the_import_of_a_server_is_strict_and_safe_to_repeat() {
    let server = Server::start(&[
        ("MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE", "5"),
        ("MAINSTAY_INGEST_PER_GROUP_PER_MINUTE", "5"),
    ]);
    let client = server.client();
    let body: String = (0..300).map(|number| line(number, 10)).collect::<String>() + "{}\n";
    let import = |kind: &str, body: &[u8]| client.send("POST", "/api/monitoring/errors/import", Some((kind, body)));
    let answer = import("application/x-ndjson", body.as_bytes()).expect(200).json();
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"], &answer["rejected"]),
        (&json!(300), &json!(0), &json!(1))
    );
    let wrong = json!([{ "index": 300, "errors": [{ "pointer": "/message", "detail": "is required" }] }]);
    assert_eq!(answer["results"], wrong);
    let again = import("application/x-ndjson", body.as_bytes()).expect(200).json();
    assert_eq!(
        (&again["accepted"], &again["duplicates"], &again["tooOld"]),
        (&json!(0), &json!(300), &json!(0))
    );
    assert_all_once(&client, 300);
    import("application/json", b"[]").expect(415);
    import("application/x-ndjson", "{}\n".repeat(10_001).as_bytes()).expect(413);
    client
        .send("POST", "/api/monitoring/errors/import?dry=1", None)
        .expect(400);
    // Not of now: neither counted as a flood, nor told to who watches.
    let stats = stats(&client);
    assert_eq!(stats["errors"]["perMinute"], 0, "{}", stats["errors"]);
    assert_eq!(stats["ledger"]["dropped"]["rateLimited"], 0);
}

#[test]
fn old_times_meet_the_bound_and_it_is_told_how_many() {
    for with_server in [true, false] {
        let mut server = Server::start(&[]);
        if !with_server {
            assert!(server.stop().success());
        }
        let old = line(1, 10).replace("timestamp\":\"20", "timestamp\":\"19");
        std::fs::write(server.folder().join("old.ndjson"), format!("{old}{}", line(2, 10))).expect("written");
        let (code, out, err) = told(&imported(server.folder(), &["old.ndjson"]));
        assert_eq!((code, out), (Some(0), result(2, 0, 0)));
        assert!(
            err.starts_with("mainstay: 1 of the accepted are older than events are kept and leave at once"),
            "{err}"
        );
        if !with_server {
            server.restart();
        }
        eventually("the old one has left", || {
            (exported(&server.client(), "?source=file").len() == 1).then_some(())
        });
    }
}

/// Starts an import, and kills it once this many rows are there.
fn kill_at(folder: &Path, rows_wanted: u64) {
    let mut child = import(folder, &["file.ndjson"]).spawn().expect("it runs");
    eventually("some are taken", || {
        (rows(folder) >= rows_wanted || child.try_wait().expect("waited").is_some()).then_some(())
    });
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn killed_at_any_moment_it_goes_on_and_nothing_is_lost_or_doubled() {
    const EVENTS: usize = 8000;
    for with_server in [true, false] {
        let mut server = Server::start(&[]);
        file(server.folder(), "file.ndjson", EVENTS, 300);
        if !with_server {
            assert!(server.stop().success());
        }
        for part in [1, 1500, 3000, 5000] {
            kill_at(server.folder(), part);
        }
        let before = rows(server.folder());
        let (code, out, err) = told(&imported(server.folder(), &["file.ndjson"]));
        assert_eq!(code, Some(0), "{err}");
        let known: u64 = out
            .split([' ', ','])
            .nth(4)
            .expect("a number")
            .parse()
            .expect("a number");
        // The server may have finished a batch whose sender was killed.
        assert!(before >= 5000 && known >= before, "{before} rows, {out}");
        let (_, out, _) = told(&imported(server.folder(), &["file.ndjson"]));
        assert_eq!(out, result(0, EVENTS, 0));
        if !with_server {
            server.restart();
        }
        assert_all_once(&server.client(), EVENTS);
        let whole: String = server
            .other_party("events.db")
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("checked");
        assert_eq!(whole, "ok");
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_is_waited_for() {
    const EVENTS: usize = 8000;
    let mut server = Server::start(&[]);
    file(server.folder(), "file.ndjson", EVENTS, 300);
    let mut child = import(server.folder(), &["file.ndjson"]).spawn().expect("it runs");
    for part in [500, 3000] {
        eventually("some are taken", || {
            (rows(server.folder()) >= part || child.try_wait().expect("waited").is_some()).then_some(())
        });
        server.kill();
        server.restart();
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(told(&output).0, Some(0), "{output:?}");
    assert_all_once(&server.client(), EVENTS);
}

/// Until an import says that it waits.
fn await_waiting(import: &mut Child) {
    let mut said = [0; 18];
    let told = import.stderr.as_mut().expect("piped");
    told.read_exact(&mut said).expect("it says something");
    assert_eq!(String::from_utf8_lossy(&said), "mainstay: waiting:");
}

#[test]
fn a_lock_is_waited_for_and_in_vain_only_as_long_as_was_said() {
    for with_server in [true, false] {
        let mut server = Server::start(SHORT);
        file(server.folder(), "file.ndjson", 600, 100);
        if !with_server {
            assert!(server.stop().success());
        }
        let lock = OtherProcess::hold(&server, "events.db");
        let settings = |command: &mut Command| {
            command.envs(SHORT.iter().copied());
        };
        let mut vain = import(server.folder(), &["file.ndjson", "--wait", "0"]);
        settings(&mut vain);
        let (code, out, err) = told(&vain.output().expect("it runs"));
        assert_eq!((code, out), (Some(1), result(0, 0, 0)), "{err}");
        assert!(err.starts_with("mainstay: not finished, from line 1 on: "), "{err}");
        let mut patient = import(server.folder(), &["file.ndjson"]);
        settings(&mut patient);
        let mut child = patient.spawn().expect("it runs");
        await_waiting(&mut child);
        lock.release();
        let (code, out, _) = told(&child.wait_with_output().expect("it ends"));
        assert_eq!((code, out), (Some(0), result(600, 0, 0)));
        if !with_server {
            server.restart();
        }
        assert_all_once(&server.client(), 600);
        let ledger = await_empty_spool(&server.client());
        assert_eq!(ledger["spooled"], 0, "the spool is for what can't come again");
    }
}

#[test]
fn two_at_once_take_each_event_once() {
    for with_server in [true, false] {
        let mut server = Server::start(&[]);
        file(server.folder(), "file.ndjson", 3000, 100);
        if !with_server {
            assert!(server.stop().success());
        }
        let both = [0, 1].map(|_| import(server.folder(), &["file.ndjson"]).spawn().expect("it runs"));
        let told = both.map(|child| told(&child.wait_with_output().expect("it ends")));
        let accepted: usize = told
            .iter()
            .map(|(code, out, err)| {
                assert_eq!(*code, Some(0), "{err}");
                out.split([' ', ','])
                    .nth(1)
                    .expect("a number")
                    .parse::<usize>()
                    .expect("a number")
            })
            .sum();
        assert_eq!(accepted, 3000);
        if !with_server {
            server.restart();
        }
        assert_all_once(&server.client(), 3000);
    }
}

#[test]
fn where_a_server_listened_that_has_ended_is_not_waited_for() {
    let mut server = Server::start(&[]);
    file(server.folder(), "file.ndjson", 10, 10);
    let path = server.folder().join("data/mainstay.lock");
    let noted = std::fs::read_to_string(&path).expect("noted");
    assert!(noted.contains("http://127.0.0.1:"), "{noted}");
    assert!(server.stop().success());
    // As another import has it that has claimed the folder and noted nothing yet.
    std::fs::write(&path, noted).expect("written");
    let other = std::fs::File::open(&path).expect("opened");
    other.lock().expect("claimed");
    let mut child = import(server.folder(), &["file.ndjson"]).spawn().expect("it runs");
    await_waiting(&mut child);
    other.unlock().expect("let go");
    let (code, out, err) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, out), (Some(0), result(10, 0, 0)), "{err}");
}

/// The import with no more memory for data than this, what its allocator holds without using it included.
fn bounded(folder: &Path, file: &str, mib: u64) -> Command {
    let mut command = Command::new("bash");
    let line = format!("ulimit -d {} && exec \"$0\" errors import {file}", mib << 10);
    command
        .args(["-c", &line, env!("CARGO_BIN_EXE_mainstay")])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

#[test]
fn memory_grows_neither_with_the_file_nor_with_a_line() {
    const MIB: usize = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let packed = std::fs::File::create(folder.path().join("large.gz")).expect("made");
    let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packer.write_all(line(0, 10).as_bytes()).expect("written");
    // One line that would be an event if it weren't so long.
    packer
        .write_all(b"{\"message\": \"m\", \"details\": \"")
        .expect("written");
    let part = vec![b'x'; MIB];
    (0..600).for_each(|_| packer.write_all(&part).expect("written"));
    packer.write_all(b"\"}\n").expect("written");
    // Large events, more than the memory holds.
    (1..=200).for_each(|number| packer.write_all(line(number, MIB - 1000).as_bytes()).expect("written"));
    packer.finish().expect("written");
    let output = bounded(folder.path(), "large.gz", 256).output().expect("it runs");
    let (code, out, err) = told(&output);
    assert_eq!((code, out), (Some(1), result(201, 0, 1)), "{err}");
    assert_eq!(err, "line 2: must have at most 4194304 bytes");
    // The bound is one: with hardly any memory it can't even begin.
    assert_ne!(
        bounded(folder.path(), "large.gz", 1)
            .output()
            .expect("it runs")
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn a_terminal_sees_a_bar_and_a_file_sees_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    file(folder.path(), "file.ndjson", 3000, 100);
    let line = format!("{} errors import file.ndjson", env!("CARGO_BIN_EXE_mainstay"));
    let shown = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("script is installed");
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(
        shown.status.success() && text.contains(" %  ") && text.contains("lines, 0 rejected"),
        "{text}"
    );
    assert!(text.trim_end().ends_with(&result(3000, 0, 0)), "{text}");
    let bad = "{}\n".repeat(100_000);
    std::fs::write(folder.path().join("bad.ndjson"), bad).expect("written");
    let (code, out, err) = told(&imported(folder.path(), &["bad.ndjson"]));
    assert_eq!((code, out), (Some(1), result(0, 0, 100_000)));
    let told: Vec<&str> = err.lines().filter(|line| line.contains("accepted")).collect();
    assert_eq!(told, ["line 100000: accepted 0, duplicates 0, rejected 100000"]);
    assert_eq!(err.lines().count(), 100_001);
}
