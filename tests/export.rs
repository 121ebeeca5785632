//! The export at the front door of the real binary: filters, both forms, and that an end is an end.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use common::source::with_source;
use common::transfer::{EXPORT, assert_all_once, exported, file, import, imported, lines, told};
use common::work::{OtherProcess, all_events, await_empty_spool, be_the_other_process, member};
use common::{Client, SHORT, Server, eventually};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";

#[test]
#[ignore = "not a test: the process that holds a lock"]
fn the_other_process() {
    be_the_other_process();
}

fn report(client: &Client, events: &Value) {
    let answer = client.post(ERRORS, events).expect(200).json();
    assert_eq!(answer["rejected"], 0, "{answer}");
}

#[test]
fn it_gives_what_the_list_gives_and_refuses_what_it_does_not_know() {
    let server = Server::start(&[]);
    let client = server.client();
    report(
        &client,
        &json!([
            { "message": "payment failed", "type": "api", "severity": "high", "tags": { "till": "7" }, "userId": 42 },
            { "message": "payment slow", "type": "api", "severity": "low", "source": "shop" },
            { "message": "disk failed", "type": "system", "severity": "high", "timestamp": "2026-01-31T08:30:00Z" }
        ]),
    );
    for filters in [
        "?since=365000d",
        "?type=api",
        "?severity=high&since=1h",
        "?tag.till=7",
        "?userId=42&status=unresolved",
        "?q=payment+-slow",
        "?group=E-1",
        "?source=nobody",
        "?until=30d",
    ] {
        let listed = client.get(&format!("{ERRORS}{filters}")).expect(200).json()["errors"].clone();
        let given = exported(&client, filters);
        assert_eq!(json!(given), listed, "{filters}");
    }
    assert_eq!(exported(&client, "").len(), all_events(&client).len());
    for (parameters, named) in [
        ("?format=xml", "format: must be ndjson or csv"),
        ("?limit=5", "limit: is not a parameter here; allowed: type, "),
        ("?cursor=0", "cursor: is not a parameter here"),
        ("?count=true", "count: is not a parameter here"),
        ("?colour=red", "colour: is not a parameter here"),
        (
            "?severity=bad",
            "severity: must be one or more of low, medium, high, critical",
        ),
        ("?q=%22", "q: "),
    ] {
        let refused = client.get(&format!("{EXPORT}{parameters}")).expect(400).json();
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(
            refused["code"] == "invalid_request" && detail.starts_with(named),
            "{detail}"
        );
    }
    let answer = client.get(EXPORT).expect(200);
    assert_eq!(answer.header("Content-Type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("Pending-Events"), None);
    let name = answer.header("Content-Disposition").expect("a name");
    assert!(
        name.starts_with("attachment; filename=\"errors-20") && name.ends_with("Z.ndjson\""),
        "{name}"
    );
    assert_eq!(client.send("HEAD", EXPORT, None).expect(200).text, "");
    client.post(EXPORT, &json!({})).expect(405);
}

#[test]
fn it_takes_the_scope_that_reads_events() {
    let server = Server::start(&[]);
    let token = |scope: &str| server.token(&["create", "--scope", scope]);
    let (reads, reports) = (token("monitor:read"), token("ingest"));
    let with = |token: &str| server.client().with("Authorization", &format!("Bearer {token}"));
    eventually("the tokens are known", || {
        (server.client().get(EXPORT).status == 401).then_some(())
    });
    with(&reads).get(EXPORT).expect(200);
    with(&reports).get(EXPORT).expect(403);
    let line = b"{\"message\":\"m\"}" as &[u8];
    let body = Some(("application/x-ndjson", line));
    with(&reports)
        .send("POST", "/api/monitoring/errors/import", body)
        .expect(403);
}

/// Rows of fields, as RFC 4180 has them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.next_if_eq(&'\n').is_some() => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    assert!(
        field.is_empty() && row.is_empty() && !quoted,
        "it ends with a whole row"
    );
    rows
}

#[test]
fn a_table_has_a_heading_and_no_formulas() {
    let server = Server::start(&[]);
    let client = server.client();
    report(
        &client,
        &json!([{
            "message": "=1+1", "type": "api", "userId": "@me", "path": "/a,b", "source": "two\r\nlines \"quoted\"",
            "details": { "a": [1, "x,y"] }, "tags": { "k": "v" }, "exception": { "type": "E", "value": "-v" }
        }]),
    );
    let answer = client.get(&format!("{EXPORT}?format=csv&type=api")).expect(200);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert!(
        answer
            .header("Content-Disposition")
            .is_some_and(|name| name.ends_with("Z.csv\""))
    );
    let rows = rows(&answer.text);
    assert_eq!((rows.len(), rows[1].len()), (2, rows[0].len()));
    let field = |name: &str| {
        let at = rows[0].iter().position(|heading| heading == name).expect("a heading");
        rows[1][at].as_str()
    };
    assert_eq!((field("message"), field("userId")), ("'=1+1", "'@me"));
    assert_eq!((field("path"), field("source")), ("/a,b", "two\r\nlines \"quoted\""));
    assert_eq!(
        (field("details"), field("tags")),
        (r#"{"a":[1,"x,y"]}"#, r#"{"k":"v"}"#)
    );
    assert_eq!(field("exception"), r#"{"type":"E","value":"-v"}"#);
    assert_eq!(field("id"), all_events(&client)[0]["id"]);
    let nothing = client
        .get(&format!("{EXPORT}?format=csv&source=nobody"))
        .expect(200)
        .text;
    assert_eq!(self::rows(&nothing).len(), 1, "the heading alone");
}

/// What SDKs report, by the corpus of the fuzzer; what the log tells of itself; and one of the native kind.
fn report_all_kinds(client: &Client, key: &str) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/envelope");
    for entry in std::fs::read_dir(corpus).expect("a corpus").flatten() {
        let body = std::fs::read(entry.path()).expect("read");
        let end = if entry.file_name() == "store" {
            "store"
        } else {
            "envelope"
        };
        let answer = client.send(
            "POST",
            &format!("/api/1/{end}/?sentry_key={key}"),
            Some(("text/plain", &body)),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    client.with("Authorization", "Basic x").get("/api/monitoring/stats");
    client
        .post(
            "/api/monitoring/circuit-breaker/app.write/force-open",
            &json!({ "reason": "a test" }),
        )
        .expect(200);
    client.put("/api/data/notes", &json!({})).expect(503);
    let whole = json!({
        "message": "all members", "type": "socket", "severity": "low", "userId": -7, "ip": "2001:db8::1", "path": "/a",
        "requestId": "r", "source": "s", "release": "1", "environment": "e", "tags": { "a": "b" },
        "details": { "code": "ECONNRESET", "numbers": [1.5, null], "\u{1f980}": null },
        "exception": { "type": "E", "value": "v", "module": "m", "handled": false, "frames": [
            { "module": "m", "function": "f", "file": "f.rs", "absPath": "/f.rs", "line": 1, "column": 2, "inApp": true,
              "context": { "before": ["", "b"], "line": "l", "after": ["a"] } }] },
        "causes": [{ "type": "C", "frames": [] }], "fingerprint": ["a", "b"],
        "breadcrumbs": [{ "timestamp": "2026-01-31T08:30:00.000Z", "type": "t", "category": "c", "level": "l",
            "message": "m", "data": { "x": [] } }],
        "request": { "method": "GET", "url": "http://a/b", "headers": { "Accept": "" } },
        "user": { "id": -7, "email": "a@b", "username": "u", "ip": "::1" }
    });
    let text = whole
        .to_string()
        .replace("1.5,null", "1.50,123456789012345678901234567890");
    client
        .send("POST", ERRORS, Some(("application/json", text.as_bytes())))
        .expect(201);
    eventually("our own events are stored", || {
        let all = exported(client, "?source=mainstay");
        (all.len() >= 2).then_some(())
    });
}

/// By their ids, because events of one millisecond may change places; without their groups, which are numbered anew.
fn in_order(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        event
            .as_object_mut()
            .expect("an event")
            .remove("groupId")
            .expect("a group");
    }
    events.sort_by_key(|event| event["id"].to_string());
    events
}

#[test]
fn what_is_exported_comes_back_unchanged() {
    // The corpus is of old times.
    const ALL_TIMES: (&str, &str) = ("MAINSTAY_EVENTS_MAX_DAYS", "0");
    let (from, client, dsn) = with_source(&[ALL_TIMES]);
    report_all_kinds(&client, common::source::key(&dsn));
    let text = client.get(EXPORT).expect(200).text;
    let before = lines(&text);
    assert!(before.len() >= 10, "{text}");
    drop(from);
    let ids = member(&before, "id");
    let before = in_order(before);
    for with_server in [true, false] {
        let mut server = Server::start(&[ALL_TIMES]);
        if !with_server {
            assert!(server.stop().success());
        }
        std::fs::write(server.folder().join("all.ndjson"), &text).expect("written");
        let mut import = import(server.folder(), &["all.ndjson"]);
        let done = told(&import.env(ALL_TIMES.0, ALL_TIMES.1).output().expect("it runs"));
        let all = format!("accepted {}, duplicates 0, rejected 0", ids.len());
        assert_eq!(done, (Some(0), all, String::new()));
        if !with_server {
            server.restart();
        }
        let mut again = exported(&server.client(), "");
        // What this server tells of itself is not of the file.
        again.retain(|event| ids.iter().any(|id| event["id"] == *id));
        assert_eq!(before, in_order(again));
        let numbers = "[1.50,123456789012345678901234567890]";
        assert!(
            server.client().get(EXPORT).expect(200).text.contains(numbers),
            "byte for byte"
        );
    }
}

#[test]
fn what_is_counted_on_samples_comes_back_too() {
    let server = Server::start(&[("MAINSTAY_INGEST_PER_GROUP_PER_MINUTE", "20")]);
    let client = server.client();
    let storm: Vec<Value> = (0..900)
        .map(|n| json!({ "message": format!("query {n} failed"), "release": "1" }))
        .collect();
    report(&client, &json!(storm));
    let rows = exported(&client, "?release=1");
    let occurrences: u64 = rows.iter().filter_map(|row| row["occurrences"].as_u64()).sum();
    assert!(
        rows.len() < 100 && occurrences == 900,
        "{} rows for {occurrences}",
        rows.len()
    );
    let other = Server::start(&[("MAINSTAY_INGEST_PER_GROUP_PER_MINUTE", "1")]);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(other.folder().join("storm.ndjson"), text).expect("written");
    assert_eq!(told(&imported(other.folder(), &["storm.ndjson"])).0, Some(0));
    assert_eq!(exported(&other.client(), "?release=1").len(), rows.len());
    let group = other
        .client()
        .get("/api/monitoring/groups?release=1")
        .expect(200)
        .json()["groups"][0]
        .clone();
    assert_eq!(group["count"], 900, "{group:#}");
    let counted = other
        .client()
        .get(&format!("{ERRORS}?release=1&count=true"))
        .expect(200)
        .json();
    assert_eq!(counted["total"], 900);
}

#[test]
fn while_events_come_and_go_none_is_skipped_or_repeated() {
    const EVENTS: usize = 6000;
    let server = Server::start(&[]);
    file(server.folder(), "many.ndjson", EVENTS, 200);
    assert_eq!(told(&imported(server.folder(), &["many.ndjson"])).0, Some(0));
    let enough = AtomicBool::new(false);
    let ids = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let client = server.client();
            for round in 0.. {
                if enough.load(Ordering::Relaxed) {
                    return round;
                }
                // Now, and in between those that are exported.
                let since = json!({ "message": format!("meanwhile {round}"), "source": "meanwhile" });
                let ids = client.post(ERRORS, &since).expect(201).json()["id"].clone();
                let path = format!("{ERRORS}/{}", ids.as_str().expect("an id"));
                if round % 3 == 0 {
                    client.delete(&path);
                }
                std::fs::write(
                    server.folder().join("between.ndjson"),
                    common::transfer::line(100_000 + round, 10),
                )
                .expect("written");
                assert_eq!(told(&imported(server.folder(), &["between.ndjson"])).0, Some(0));
            }
            unreachable!("it ends by returning")
        });
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(member(&exported(&server.client(), ""), "id"));
        }
        enough.store(true, Ordering::Relaxed);
        assert!(busy.join().expect("no panic") > 0);
        ids
    });
    for ids in ids {
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len(), "some are there twice");
        let of_file = (0..EVENTS).map(|number| format!("00000000-0000-7000-8000-{number:012x}"));
        let missing = of_file.filter(|id| sorted.binary_search(id).is_err()).count();
        assert_eq!(missing, 0);
    }
}

#[test]
fn what_waits_in_the_spool_is_told_and_a_lock_holds_nothing_up() {
    let server = Server::start(SHORT);
    let client = server.client();
    report(&client, &json!([{ "message": "before", "source": "shop" }]));
    let lock = OtherProcess::hold(&server, "events.db");
    let spooled = client
        .post(ERRORS, &json!({ "message": "meanwhile", "source": "shop" }))
        .expect(201)
        .json();
    assert_eq!(spooled["stored"], "spool");
    let answer = client
        .get(&format!("{EXPORT}?type=system&severity=low,medium,high,critical"))
        .expect(200);
    let pending: u64 = answer
        .header("Pending-Events")
        .expect("some wait")
        .parse()
        .expect("a number");
    assert!(pending >= 1);
    assert_eq!(
        lines(&answer.text)
            .iter()
            .filter(|event| event["source"] == "shop")
            .count(),
        1
    );
    lock.release();
    await_empty_spool(&client);
    assert_eq!(exported(&client, "?source=shop").len(), 2);
}

/// Kilobytes from a line of what the system says of a process.
fn kib(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let found = status.lines().find(|text| text.starts_with(line)).expect("a line");
    found
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number")
}

/// A server with more events than any buffer on the way takes.
fn with_much() -> (Server, u64) {
    const EVENTS: usize = 6000;
    const BYTES: usize = 10 << 10;
    // A server of its own: this one hasn't seen the import when its memory is measured.
    let mut server = Server::start(SHORT);
    assert!(server.stop().success());
    file(server.folder(), "much.ndjson", EVENTS, BYTES);
    assert_eq!(told(&imported(server.folder(), &["much.ndjson"])).0, Some(0));
    server.restart();
    eventually("all can be found", || {
        let looked = server
            .client()
            .send("HEAD", &format!("{EXPORT}?source=file"), None)
            .expect(200);
        looked.header("Pending-Events").is_none().then_some(())
    });
    (server, (EVENTS * BYTES) as u64)
}

/// curl on an export of which it got the first line; the rest waits in the pipe and on the way.
fn curl(server: &Server, format: &str, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("curl")
        .args(["-sSN", &server.url(&format!("{EXPORT}?source=file&format={format}"))])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("curl is installed");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut String::new()).expect("a line");
    (child, output)
}

/// What the log says of exports that have ended.
fn ended(server: &Server) -> Vec<Value> {
    let logs = std::fs::read_dir(server.data_dir().join("logs"))
        .expect("logs")
        .flatten();
    let text: String = logs
        .filter_map(|log| std::fs::read_to_string(log.path()).ok())
        .collect();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // Those that had no body, for HEAD, aren't of interest.
    lines
        .filter(|line| line["message"] == "export" && line["ended"] != "not begun")
        .collect()
}

fn reads(client: &Client) -> u64 {
    let queries = client
        .get("/api/monitoring/queries?database=events&limit=500")
        .expect(200)
        .json();
    let all = queries["queries"].as_array().expect("statements").clone();
    let ours = all.iter().filter(|one| {
        one["operations"]
            .as_array()
            .is_some_and(|names| names.iter().any(|name| name == "events.export"))
    });
    ours.filter_map(|one| one["calls"].as_u64()).sum()
}

#[test]
fn memory_and_the_log_of_the_database_stay_small_however_slow_the_client_is() {
    let (server, bytes) = with_much();
    let client = server.client();
    client.get(&format!("{EXPORT}?limit=1")).expect(400);
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").expect("the peak begins anew");
    let before = kib(server.pid(), "VmRSS");
    let (mut child, mut output) = curl(&server, "ndjson", &[]);
    eventually("the way to the client is full", || {
        let now = reads(&client);
        std::thread::sleep(std::time::Duration::from_millis(200));
        (now > 0 && reads(&client) == now).then_some(())
    });
    // Nobody keeps the write-ahead log from being emptied meanwhile.
    client
        .post(ERRORS, &json!({ "message": "written meanwhile" }))
        .expect(201);
    eventually("the write-ahead log is emptied", || {
        let other = server.other_party("events.db");
        let busy: i64 = other
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .expect("tried");
        (busy == 0).then_some(())
    });
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("ended").success());
    assert!(rest.len() as u64 > bytes, "{} bytes", rest.len());
    assert_eq!(rest.lines().count() + 1, 6000);
    drop(rest);
    let grown = kib(server.pid(), "VmHWM").saturating_sub(before);
    println!(
        "{} MiB exported, the server's memory grew by {grown} KiB at most",
        bytes >> 20
    );
    assert!(grown < 24 << 10, "{grown} KiB for an export of {} KiB", bytes >> 10);
    assert_eq!(
        eventually("its end", || ended(&server).first().cloned())["ended"],
        "complete"
    );
    assert_all_once(&client, 6000);
}

#[test]
fn a_client_that_leaves_ends_it() {
    let (server, _) = with_much();
    let client = server.client();
    let (mut child, _output) = curl(&server, "ndjson", &[]);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let end = eventually("the log tells of it", || ended(&server).first().cloned());
    assert_eq!(end["ended"], "the client left");
    assert!(end["events"].as_u64() < Some(6000), "{end}");
    let then = reads(&client);
    exported(&client, "?source=nobody");
    let since = reads(&client);
    exported(&client, "?source=nobody");
    assert_eq!(reads(&client) - since, since - then, "only the exports of nothing read");
}

#[test]
fn an_export_that_cannot_go_on_is_seen_to_be_cut() {
    let (server, _) = with_much();
    let client = server.client();
    for format in ["ndjson", "csv"] {
        let (mut child, mut output) = curl(&server, format, &[]);
        let mut text = String::new();
        client
            .post(
                "/api/monitoring/circuit-breaker/events.read/force-open",
                &json!({ "reason": "a test" }),
            )
            .expect(200);
        output.read_to_string(&mut text).expect("text");
        assert_eq!(child.wait().expect("ended").code(), Some(18), "curl: partial file");
        client
            .post("/api/monitoring/circuit-breaker/reset", &json!({}))
            .expect(200);
        if format == "csv" {
            assert!(!text.contains("exportEndedEarly") && text.lines().count() < 6000);
            continue;
        }
        // Without the first line, which was read before.
        let lines = lines(&text);
        let (last, events) = lines.split_last().expect("lines");
        let said = &last["exportEndedEarly"];
        assert_eq!(
            (&said["code"], &said["events"]),
            (&json!("database_unavailable"), &json!(events.len() + 1)),
            "{said}"
        );
        assert!(events.len() < 6000);
        // An import of it takes what there is and says that it isn't all.
        std::fs::write(server.folder().join("part.ndjson"), &text).expect("written");
        let (code, out, err) = told(&imported(server.folder(), &["part.ndjson"]));
        assert_eq!(
            (code, out),
            (Some(1), format!("accepted 0, duplicates {}, rejected 1", events.len()))
        );
        assert!(
            err.ends_with("is the end of an export that could not go on; what it lacks is not in this file"),
            "{err}"
        );
    }
    let causes = eventually("the log tells of both", || {
        let causes: Vec<Value> = ended(&server).iter().map(|end| end["ended"].clone()).collect();
        (causes.len() == 2).then_some(causes)
    });
    assert_eq!(causes, ["database_unavailable", "database_unavailable"]);
}

/// What is told at the end of an export that was begun and then cut.
fn ended_early(mut child: Child, mut output: BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    output.read_to_string(&mut text).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(18), "curl: partial file");
    lines(text.lines().last().expect("a line"))[0]["exportEndedEarly"].clone()
}

#[test]
fn the_end_of_the_service_ends_it() {
    let (mut server, _) = with_much();
    let (child, output) = curl(&server, "ndjson", &[]);
    server.signal(rustix::process::Signal::TERM);
    eventually("it is ending", || {
        server.log().contains("ending: requests under way").then_some(())
    });
    assert_eq!(ended_early(child, output)["code"], "shutting_down");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_token_that_is_revoked_ends_it() {
    let (server, _) = with_much();
    let token = server.token(&["create", "--scope", "admin"]);
    let header = format!("Authorization: Bearer {token}");
    let with = server.client().with("Authorization", &format!("Bearer {token}"));
    let open = server.client();
    eventually("the token is known", || (open.get(ERRORS).status == 401).then_some(()));
    let (child, output) = curl(&server, "ndjson", &["-H", &header]);
    let list = server.token(&["list"]);
    let id = list.lines().nth(1).and_then(|row| row.split_whitespace().next());
    // The last one, or local use would be open again.
    server.token(&["create", "--scope", "ingest"]);
    server.token(&["revoke", id.expect("an id")]);
    eventually("it is revoked", || (with.get(ERRORS).status == 401).then_some(()));
    assert_eq!(ended_early(child, output)["code"], "unauthorized");
}
