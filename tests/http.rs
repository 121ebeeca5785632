//! HTTP at the front door of the real binary: what is refused, how, and what every answer carries.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Answer, Server, raw, with_notes};
use mainstay::http::Code;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const RESET: &str = "/api/monitoring/circuit-breaker/reset";
const FORCE_OPEN: &str = "/api/monitoring/circuit-breaker/app.read/force-open";
const POOL: &str = "/api/monitoring/pool";
const QUERIES_RESET: &str = "/api/monitoring/queries/reset";
const ACTIVE: &str = "/api/monitoring/queries/active";
const CANCEL: &str = "/api/monitoring/queries/active/app-1-1/cancel";
const REINDEX: &str = "/api/monitoring/databases/app/reindex";

/// Every problem has the same members, agrees with its status, and shows nothing internal.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    let body = answer.json();
    for member in ["type", "title", "detail", "code", "requestId", "message"] {
        assert!(
            body[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member}: {body}"
        );
    }
    assert_eq!(
        (&body["status"], &body["code"], &body["error"]),
        (&json!(status), &json!(code), &json!(true))
    );
    assert_eq!(body["requestId"].as_str(), answer.header("X-Request-Id"));
    for internal in [
        "SELECT", "INSERT", "SQLITE", "rusqlite", ".db", ".rs:", "/tmp/", "panicked",
    ] {
        assert!(!answer.text.contains(internal), "{internal} in {body}");
    }
    body
}

#[test]
fn every_refusal_is_one_kind_of_problem_that_names_what_is_wrong() {
    let (server, _) = with_notes();
    let errors = "/api/monitoring/errors";
    let text = ("Content-Type", "text/plain");
    type Case<'a> = (&'a str, &'a str, (&'a str, &'a str), &'a [u8], u16, &'a str, &'a str);
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("POST", "/api/data/notes", JSON, b"{\"a\":", 400, "invalid_request", "line 1 column 5"),
        ("POST", "/api/data/notes", JSON, b"", 400, "invalid_request", "empty"),
        ("POST", "/api/data/notes", JSON, b"{\"a\":\"\xff\"}", 400, "invalid_request", "unicode"),
        ("POST", "/api/data/notes", JSON, b"[1]", 422, "validation_failed", "an array"),
        ("POST", "/api/data/notes", JSON, b"{\"id\":7}", 422, "validation_failed", "/id"),
        ("POST", "/api/data/notes", text, b"{}", 415, "unsupported_media_type", "application/json"),
        ("PUT", "/api/data/notes", JSON, b"{\"schema\":{}}", 422, "validation_failed", "/schema"),
        ("PUT", "/api/data/Notes", JSON, b"", 400, "invalid_request", "begin with a letter"),
        ("GET", "/api/data/absent", JSON, b"", 404, "collection_not_found", "PUT /api/data/absent"),
        ("GET", "/api/data/notes/absent", JSON, b"", 404, "not_found", "absent"),
        ("GET", "/api/data/notes?limit=0", JSON, b"", 400, "invalid_request", "from 1 to 500"),
        ("GET", "/api/data/notes?limit=1&limit=2", JSON, b"", 400, "invalid_request", "once"),
        ("GET", "/api/data/notes?cursor=x!", JSON, b"", 400, "invalid_request", "nextCursor"),
        ("GET", "/api/data/notes?limit=%ff", JSON, b"", 400, "invalid_request", "UTF-8"),
        ("POST", errors, JSON, b"3", 422, "validation_failed", "JSON object"),
        ("POST", errors, JSON, b"{}", 422, "validation_failed", "/message is required"),
        ("POST", errors, JSON, b"{\"message\":\"m\",\"severity\":\"fatal\"}", 422, "validation_failed", "low, medium, high, critical"),
        ("POST", errors, JSON, b"{\"message\":\"m\",\"colour\":1}", 422, "validation_failed", "allowed are id, timestamp"),
        ("POST", errors, text, b"{}", 415, "unsupported_media_type", "application/x-ndjson"),
        ("GET", "/api/monitoring/errors?type=none", JSON, b"", 400, "invalid_request", "database, socket, api, system"),
        ("GET", "/api/monitoring/errors?since=soon", JSON, b"", 400, "invalid_request", "RFC 3339"),
        ("GET", "/api/monitoring/errors?since=1h&until=2h", JSON, b"", 400, "invalid_request", "later than since"),
        ("GET", "/api/monitoring/errors/7", JSON, b"", 400, "invalid_request", "UUID"),
        ("GET", "/api/monitoring/errors/01a209f2-6bf1-7626-acd7-32249a5fb724", JSON, b"", 404, "not_found", "no error event"),
        ("POST", RESET, JSON, b"[]", 422, "validation_failed", "must be an object"),
        ("POST", RESET, JSON, b"{\"name\":\"db\"}", 422, "validation_failed", "app.read, app.write"),
        ("POST", RESET, JSON, b"{\"names\":[]}", 422, "validation_failed", "allowed: name"),
        ("POST", "/api/monitoring/circuit-breaker/db/reset", JSON, b"", 404, "not_found", "app.read, app.write"),
        ("POST", FORCE_OPEN, JSON, b"{\"forSeconds\":0}", 422, "validation_failed", "from 1 to"),
        ("POST", POOL, JSON, b"{}", 422, "validation_failed", "at least one of limit"),
        ("POST", POOL, JSON, b"{\"limits\":1}", 422, "validation_failed", "allowed: database, limit"),
        ("POST", POOL, ("Content-Type", "text/plain"), b"{}", 415, "unsupported_media_type", "application/json"),
        ("POST", CANCEL, JSON, b"", 404, "not_found", "no running operation app-1-1"),
        ("POST", REINDEX, JSON, b"", 409, "conflict", "nothing to make anew"),
        ("POST", "/api/monitoring/databases/main/reindex", JSON, b"", 404, "not_found", "app, events"),
        ("GET", "/nowhere", JSON, b"", 404, "route_not_found", "/nowhere"),
    ];
    for (method, target, header, body, status, code, hint) in cases {
        let answer = raw::ask(&server.url(""), method, target, &[*header], body);
        let problem = assert_problem(&answer, *status, code);
        assert!(
            problem["detail"].as_str().is_some_and(|d| d.contains(hint)),
            "{method} {target}: {problem}"
        );
    }
}

#[test]
fn an_unknown_parameter_is_refused_everywhere_with_the_allowed_ones() {
    let (server, _) = with_notes();
    #[rustfmt::skip]
    let routes = [
        ("GET", "/api/data", "limit, cursor"),
        ("GET", "/api/data/notes", "limit, cursor"),
        ("PUT", "/api/data/notes", "none"),
        ("DELETE", "/api/data/notes", "force"),
        ("POST", "/api/data/notes", "none"),
        ("GET", "/api/data/notes/1", "none"),
        ("PUT", "/api/data/notes/1", "none"),
        ("PATCH", "/api/data/notes/1", "none"),
        ("DELETE", "/api/data/notes/1", "none"),
        ("GET", "/api/monitoring/errors", "limit, cursor, type, severity, since, until, group, status, q, count, histogram, tag, \
            tag.NAME, path, userId, ip, requestId, source, release, environment"),
        ("POST", "/api/monitoring/errors", "none"),
        ("GET", "/api/monitoring/errors/01a209f2-6bf1-7626-acd7-32249a5fb724", "none"),
        ("GET", "/api/monitoring/health", "none"),
        ("GET", "/api/monitoring/stats", "none"),
        ("GET", "/api/monitoring/alerts", "none"),
        ("GET", "/api/monitoring/stream", "none"),
        ("GET", "/api/monitoring/circuit-breaker", "none"),
        ("POST", RESET, "none"),
        ("POST", FORCE_OPEN, "none"),
        ("GET", POOL, "none"),
        ("POST", POOL, "none"),
        ("GET", "/api/monitoring/queries", "database, sort, limit, slow"),
        ("POST", QUERIES_RESET, "none"),
        ("GET", ACTIVE, "none"),
        ("POST", CANCEL, "none"),
        ("POST", REINDEX, "none"),
        ("GET", "/readyz", "verbose"),
    ];
    for (method, path, allowed) in routes {
        let answer = raw::ask(&server.url(""), method, &format!("{path}?colour=red"), &[JSON], b"{}");
        let problem = assert_problem(&answer, 400, "invalid_request");
        assert_eq!(
            problem["detail"],
            format!("colour: is not a parameter here; allowed: {allowed}"),
            "{method} {path}"
        );
    }
}

#[test]
fn an_oversized_body_is_refused_with_and_without_a_length_and_changes_nothing() {
    let (server, client) = with_notes();
    let chunked = ("Transfer-Encoding", "chunked");
    let bodies = [
        ("/api/data/notes", 1 << 20),
        ("/api/monitoring/errors", 10 << 20),
        (RESET, 64 << 10),
        (FORCE_OPEN, 64 << 10),
        (POOL, 64 << 10),
    ];
    for (path, limit) in bodies {
        let (start, end) = ("{\"message\":\"", "\"}");
        let body = format!("{start}{}{end}", "x".repeat(limit + 1 - start.len() - end.len()));
        for headers in [&[JSON][..], &[JSON, chunked]] {
            let answer = raw::ask(&server.url(""), "POST", path, headers, body.as_bytes());
            let problem = assert_problem(&answer, 413, "payload_too_large");
            assert!(
                problem["detail"].as_str().expect("text").contains(&limit.to_string()),
                "{problem}"
            );
        }
    }
    assert_eq!(client.get("/api/data").json()["items"][0]["documents"], 0);
    let states = client.get("/api/monitoring/circuit-breaker").json();
    assert_eq!(states["circuitBreakers"][0]["state"], "CLOSED");
}

#[test]
fn a_wrong_method_gets_405_and_options_an_answer_with_the_allowed_ones() {
    let (server, _) = with_notes();
    let reads = "GET, HEAD, OPTIONS";
    let paths = [
        ("/", reads),
        ("/css/base.css", reads),
        ("/livez", reads),
        ("/readyz", reads),
        ("/docs/problems/internal", reads),
        ("/api/data", reads),
        ("/api/data/notes", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("/api/data/notes/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/session", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/api/monitoring/health", reads),
        ("/api/monitoring/stats", reads),
        ("/api/monitoring/alerts", reads),
        ("/api/monitoring/stream", reads),
        ("/api/monitoring/errors", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/api/monitoring/errors/1", "DELETE, GET, HEAD, OPTIONS"),
        ("/api/monitoring/circuit-breaker", reads),
        (RESET, "OPTIONS, POST"),
        (FORCE_OPEN, "OPTIONS, POST"),
        (POOL, "GET, HEAD, OPTIONS, POST"),
        ("/api/monitoring/queries", reads),
        (QUERIES_RESET, "OPTIONS, POST"),
        (ACTIVE, reads),
        (CANCEL, "OPTIONS, POST"),
        (REINDEX, "OPTIONS, POST"),
    ];
    for (path, allowed) in paths {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH", "TRACE"] {
            if !allowed.split(", ").any(|known| known == method) {
                let answer = raw::ask(&server.url(""), method, path, &[], b"");
                assert_problem(&answer, 405, "method_not_allowed");
                assert_eq!(answer.header("Allow"), Some(allowed), "{method} {path}");
            }
        }
        let answer = raw::ask(&server.url(""), "OPTIONS", path, &[], b"").expect(204);
        assert_eq!(
            (answer.header("Allow"), answer.text.as_str()),
            (Some(allowed), ""),
            "{path}"
        );
    }
    for method in ["GET", "POST", "OPTIONS"] {
        assert_problem(
            &raw::ask(&server.url(""), method, "/nowhere", &[], b""),
            404,
            "route_not_found",
        );
    }
}

#[test]
fn a_form_field_never_stands_in_for_a_method() {
    let (server, client) = with_notes();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let answer = raw::ask(&server.url(""), "POST", "/api/data/notes", &[form], b"_method=DELETE");
    assert_problem(&answer, 415, "unsupported_media_type");
    client.get("/api/data/notes").expect(200);
}

#[test]
fn head_answers_like_get_without_a_body() {
    let (server, _) = with_notes();
    for path in [
        "/",
        "/livez",
        "/readyz",
        "/api/data/notes",
        "/api/monitoring/health",
        "/api/data/absent",
        POOL,
        "/api/monitoring/queries",
        ACTIVE,
    ] {
        let [get, head] = ["GET", "HEAD"].map(|method| raw::ask(&server.url(""), method, path, &[], b""));
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{path}");
        assert!(!get.text.is_empty(), "{path}");
    }
}

#[test]
fn odd_requests_are_answered_and_do_no_harm() {
    let (server, client) = with_notes();
    let long = format!("/{}", "a".repeat(30_000));
    let cases = [
        ("/api/data/notes/", 200),
        ("/api/data//notes", 200),
        ("/livez/", 200),
        ("/api/data/%zz", 400),
        ("/api/data/%ff", 400),
        ("/api/data/n%6ftes", 200),
        ("/api/data/notes/%00", 400),
        ("/api/data/notes/a%2fb", 400),
        ("/api/data/%2e%2e/secrets", 400),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/css/..%2f..%2fCargo.toml", 404),
        ("/API/DATA", 404),
        ("/api/data/notes?", 200),
        ("/api/data/notes?&&", 200),
        (long.as_str(), 404),
    ];
    for (target, status) in cases {
        let answer = raw::ask(&server.url(""), "GET", target, &[], b"");
        assert_eq!(answer.status, status, "{target:.80}: {answer:?}");
    }
    let many = "x".repeat(20_000);
    raw::ask(&server.url(""), "GET", "/livez", &[("X-Long", &many)], b"").expect(200);
    let refused = [
        b"GET /api/data\xff HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice(),
        b"nonsense\r\n\r\n",
        b"BREW /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ];
    for bytes in refused {
        raw::exchange(&server.url(""), bytes).expect("an answer").expect(400);
    }
    client.get("/livez").expect(200);
}

#[test]
fn every_answer_has_a_request_id_the_clients_own_when_it_is_harmless() {
    let (server, _) = with_notes();
    let with_id = |id: &str| raw::ask(&server.url(""), "GET", "/api/data", &[("X-Request-Id", id)], b"");
    let longest = "x".repeat(128);
    for harmless in ["abc-1.2_3", longest.as_str()] {
        assert_eq!(with_id(harmless).header("X-Request-Id"), Some(harmless));
    }
    let too_long = "x".repeat(129);
    for harmful in ["", "a b", "<b>", "a;b", "é", too_long.as_str()] {
        let answer = with_id(harmful);
        let id = answer.header("X-Request-Id").expect("an id");
        assert!(id.len() == 36 && id != harmful, "{harmful} became {id}");
    }
    for path in ["/", "/livez", "/nowhere", "/api/data", "/api/monitoring/stats"] {
        let answer = raw::ask(&server.url(""), "GET", path, &[], b"");
        assert!(answer.header("X-Request-Id").is_some(), "{path}");
        assert!(
            answer
                .header("Server-Timing")
                .is_some_and(|t| t.starts_with("total;dur=")),
            "{path}"
        );
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert!(answer.header("Cache-Control").is_some(), "{path}");
    }
}

#[test]
fn the_dashboard_has_strict_headers_and_is_not_sent_twice() {
    let server = Server::start(&[]);
    let client = server.client();
    let page = client.get("/").expect(200);
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(
        policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("X-Frame-Options"), Some("DENY"));
    assert_eq!(page.header("Referrer-Policy"), Some("no-referrer"));
    let tag = page.header("ETag").expect("a tag");
    let again = client.with("If-None-Match", tag).get("/").expect(304);
    assert_eq!(again.text, "");
}

#[test]
fn every_problem_code_is_documented_in_the_readme_and_at_its_own_address() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    let server = Server::start(&[]);
    let client = server.client();
    for code in Code::ALL {
        let (name, status, _) = code.row();
        assert!(readme.contains(&format!("`{name}`")), "{name} is missing in README.md");
        let page = client
            .get(&format!("/docs/problems/{}", name.replace('_', "-")))
            .expect(200);
        assert!(page.text.starts_with(&format!("{name} ({status})")), "{page:?}");
    }
    assert_problem(&client.get("/docs/problems/none"), 404, "not_found");
}

/// A connection with these bytes sent.
fn connection(server: &Server, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.url("").trim_start_matches("http://")).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    stream.write_all(bytes.as_bytes()).expect("sent");
    stream
}

#[test]
fn silent_connections_are_let_go_and_those_with_an_answer_under_way_stay() {
    let server = Server::start(&[("ROCKET_KEEP_ALIVE", "1")]);
    let client = server.client();
    let tail = "GET /api/monitoring/errors/tail HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut reader = connection(&server, tail);
    let silent = [
        "",
        "GET /livez HT",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ];
    for mut stream in silent.map(|bytes| connection(&server, bytes)) {
        let end = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert!(
            !matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            "it is still open"
        );
    }
    client
        .post("/api/monitoring/errors", &json!({ "message": "still told" }))
        .expect(201);
    let (mut told, mut buffer) = (String::new(), [0; 4096]);
    while !told.contains("still told") {
        let count = reader.read(&mut buffer).expect("the stream goes on");
        assert!(count > 0, "it ended: {told}");
        told += &String::from_utf8_lossy(&buffer[..count]);
    }
}

/// The binary, started by a shell that allows it few open files unless it asks for more.
fn with_few_files(folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -Sn 200 && exec \"$0\"", env!("CARGO_BIN_EXE_mainstay")])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    shell
}

#[test]
fn as_many_files_and_connections_are_open_as_the_system_allows() {
    let server = Server::start_by(with_few_files, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let values: Vec<&str> = line.expect("the line").split_whitespace().collect();
    assert_eq!(values[0], values[1], "{limits}");
    assert_ne!(values[0], "200");
}
