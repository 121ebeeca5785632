//! The event log at the front door of the real binary: what clients report, what the service records of itself, and how
//! both are found again.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Client, Server, eventually};
use serde_json::{Value, json};

fn events(client: &Client, query: &str) -> Vec<Value> {
    let page = client
        .get(&format!("/api/monitoring/errors?{query}"))
        .expect(200)
        .json();
    page["errors"].as_array().expect("a list").clone()
}

/// The events of one request, once there are any.
fn events_of(client: &Client, request_id: &str) -> Vec<Value> {
    eventually("the request's event", || {
        let mut found = events(client, "limit=500");
        found.retain(|event| event["requestId"] == request_id);
        (!found.is_empty()).then_some(found)
    })
}

#[test]
fn each_server_error_becomes_one_event_with_its_request() {
    let server = Server::start(&[]);
    let client = server.client();
    client
        .post("/api/monitoring/circuit-breaker/app.read/force-open", &json!({}))
        .expect(200);
    for id in ["first", "second"] {
        client
            .with("X-Request-Id", id)
            .get("/api/data/notes?limit=1")
            .expect(503);
    }
    // Events keep their order, so that all of the first request's are there once the second's is.
    let second = events_of(&client, "second");
    let first = events_of(&client, "first");
    assert_eq!((first.len(), second.len()), (1, 1), "{first:?}");
    let event = &first[0];
    assert_eq!(
        (&event["path"], &event["ip"], &event["source"]),
        (&json!("/api/data/notes"), &json!("127.0.0.1"), &json!("mainstay"))
    );
    assert_eq!(
        (&event["type"], event["groupId"] == second[0]["groupId"]),
        (&json!("database"), true)
    );
    let change = events(&client, "severity=high")
        .into_iter()
        .find(|e| e["details"]["to"] == "FORCED_OPEN");
    assert_eq!(change.expect("the breaker's change")["details"]["breaker"], "app.read");
}

#[test]
fn a_slow_request_becomes_an_event_with_its_request() {
    let threshold = Duration::from_millis(300);
    let server = Server::start(&[("MAINSTAY_SLOW_REQUEST_MS", "300")]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let mut stream = TcpStream::connect(server.url("").trim_start_matches("http://")).expect("connects");
    let head = "POST /api/data/notes HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: slow\r\nContent-Length: 22\r\n\r\n{\"title\":\"a long";
    stream.write_all(head.as_bytes()).expect("sent");
    let began = eventually("the request is under way", || {
        let requests = client.get("/api/monitoring/stats").json();
        (requests["requests"]["inFlight"].as_i64() >= Some(2)).then(Instant::now)
    });
    eventually("it is slow", || (began.elapsed() > threshold).then_some(()));
    stream.write_all(b" one\"}").expect("sent");
    let event = events_of(&client, "slow").remove(0);
    assert_eq!(
        (&event["class"], &event["path"], &event["type"]),
        (&json!("slow"), &json!("/api/data/notes"), &json!("api"))
    );
    assert!(event["details"]["tookMs"].as_u64() >= Some(300), "{event}");
    assert!(client.get("/api/monitoring/stats").json()["requests"]["slow"].as_u64() >= Some(1));
}

#[test]
fn every_request_leaves_one_line_in_the_json_log() {
    let server = Server::start(&[]);
    let client = server.client();
    client
        .with("X-Request-Id", "line-1")
        .get("/api/data?limit=x")
        .expect(400);
    let line = eventually("the line", || {
        let files = std::fs::read_dir(server.data_dir().join("logs")).ok()?.flatten();
        let text: String = files.filter_map(|f| std::fs::read_to_string(f.path()).ok()).collect();
        let lines: Vec<_> = text
            .lines()
            .filter(|l| l.contains("line-1"))
            .map(str::to_owned)
            .collect();
        (!lines.is_empty()).then(|| {
            assert_eq!(lines.len(), 1, "{lines:?}");
            serde_json::from_str::<Value>(&lines[0]).expect("JSON")
        })
    });
    assert_eq!(
        (&line["request_id"], &line["path"], &line["status"]),
        (&json!("line-1"), &json!("/api/data"), &json!(400))
    );
    assert_eq!((&line["method"], &line["ip"]), (&json!("GET"), &json!("127.0.0.1")));
    assert!(line["duration_ms"].is_number() && line["timestamp"].is_string());
}

#[test]
fn every_line_is_in_the_log_after_an_ordered_end() {
    const REQUESTS: usize = 300;
    let mut server = Server::start(&[]);
    let client = server.client();
    for number in 0..REQUESTS {
        client
            .with("X-Request-Id", &format!("line-{number}-end"))
            .get("/livez")
            .expect(200);
    }
    assert_eq!(server.stop().code(), Some(0));
    let files = std::fs::read_dir(server.data_dir().join("logs"))
        .expect("logs")
        .flatten();
    let text: String = files.filter_map(|f| std::fs::read_to_string(f.path()).ok()).collect();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let found: Vec<_> = lines
        .iter()
        .filter_map(|line| line["request_id"].as_str().filter(|id| id.starts_with("line-")))
        .collect();
    let wanted: Vec<_> = (0..REQUESTS).map(|number| format!("line-{number}-end")).collect();
    assert_eq!(found, wanted, "each once, in order");
    assert_eq!(lines.last().expect("a line")["message"], "ended");
}

#[test]
fn events_come_in_as_one_an_array_or_lines_and_each_has_its_answer() {
    let server = Server::start(&[]);
    let client = server.client();
    let id = "01a209f2-6bf1-7626-acd7-32249a5fb724";
    let one = json!({ "id": id, "message": "one", "userId": 42, "type": "api", "severity": "low" });
    let made = client.post("/api/monitoring/errors", &one).expect(201);
    assert_eq!(
        made.header("Location"),
        Some(format!("/api/monitoring/errors/{id}").as_str())
    );
    let again = client.post("/api/monitoring/errors", &one).expect(200).json();
    assert_eq!((&again["id"], &again["message"]), (&json!(id), &json!("one")));

    let many = client
        .post("/api/monitoring/errors", &json!([{ "message": "two" }, one, {}, 7]))
        .expect(200)
        .json();
    assert_eq!(
        (&many["accepted"], &many["rejected"], &many["duplicates"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(
        many["results"][2]["errors"][0],
        json!({ "pointer": "/message", "detail": "is required" })
    );

    let lines = "{\"message\":\"three\"}\n\nnot json\n{\"message\":\"four\",\"severity\":\"critical\"}\n";
    let answer = client.send(
        "POST",
        "/api/monitoring/errors",
        Some(("application/x-ndjson", lines.as_bytes())),
    );
    let answer = answer.expect(200).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"]),
        (&json!(2), &json!(1)),
        "{answer}"
    );
    let messages: Vec<_> = events(&client, "count=true")
        .iter()
        .map(|e| e["message"].clone())
        .collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    let total = client.get("/api/monitoring/errors?count=true&limit=1").json();
    assert_eq!(
        (&total["total"], total["errors"].as_array().map(Vec::len)),
        (&json!(4), Some(1))
    );
}

#[test]
fn the_list_filters_and_pages_without_gaps_while_events_arrive() {
    let server = Server::start(&[]);
    let client = server.client();
    let severities = ["low", "medium", "high", "critical"];
    for number in 0..12 {
        let timestamp = format!("2024-01-01T00:00:{number:02}.000Z");
        let kind = if number % 2 == 0 { "api" } else { "socket" };
        let event = json!({ "message": format!("m{number}"), "type": kind, "severity": severities[number % 4], "timestamp": timestamp });
        client.post("/api/monitoring/errors", &event).expect(201);
    }
    assert_eq!(events(&client, "type=socket").len(), 6);
    assert_eq!(events(&client, "type=socket,api&severity=high,critical").len(), 6);
    assert_eq!(
        events(&client, "since=2024-01-01T00:00:03Z&until=2024-01-01T00:00:06Z").len(),
        3
    );
    assert_eq!(events(&client, "since=1h").len(), 0);
    let (mut seen, mut query) = (Vec::new(), "limit=5".to_owned());
    loop {
        let page = client
            .get(&format!("/api/monitoring/errors?{query}"))
            .expect(200)
            .json();
        seen.extend(
            page["errors"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|e| e["message"].as_str().expect("text").to_owned()),
        );
        client
            .post("/api/monitoring/errors", &json!({ "message": "meanwhile" }))
            .expect(201);
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        query = format!("limit=5&cursor={cursor}");
    }
    let expected: Vec<_> = (0..12).rev().map(|number| format!("m{number}")).collect();
    assert_eq!(seen, expected);
}

/// What a search finds, newest first; every event that was acknowledged before is in it.
fn messages(client: &Client, query: &str) -> Vec<String> {
    let page = client
        .get(&format!("/api/monitoring/errors?{query}"))
        .expect(200)
        .json();
    // On a busy machine the text index may need longer than a search waits for it; then the answer says so.
    if !page["pending"].is_null() {
        return eventually("everything can be found", || {
            let again = client
                .get(&format!("/api/monitoring/errors?{query}"))
                .expect(200)
                .json();
            again["pending"].is_null().then(|| messages(client, query))
        });
    }
    let found = page["errors"].as_array().expect("a list").iter();
    found.map(|e| e["message"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_search_finds_what_was_acknowledged_before_it_by_words_values_tags_and_groups() {
    let mut server = Server::start(&[]);
    let client = server.client();
    let report = |event: Value| client.post("/api/monitoring/errors", &event).expect(201).json();
    let pay = report(
        json!({ "message": "Payment provider did not answer", "path": "/pay", "userId": 42,
        "release": "1.4.2", "tags": { "region": "eu-west" }, "timestamp": "2025-01-01T10:00:00Z" }),
    );
    assert_eq!(messages(&client, "q=provider"), ["Payment provider did not answer"]);
    report(
        json!({ "message": "SQLITE_BUSY: database is locked", "type": "database", "path": "/cart", "userId": "42",
        "exception": { "type": "LockError", "frames": [{ "function": "save_cart", "line": 7 }] },
        "timestamp": "2025-01-01T11:30:00Z" }),
    );
    let (payment, busy) = ("Payment provider did not answer", "SQLITE_BUSY: database is locked");
    for (query, expected) in [
        ("q=sqlite_busy", vec![busy]),
        ("q=LockError+save_cart", vec![busy]),
        ("q=%22is+locked%22+-provider", vec![busy]),
        ("q=pay*", vec![payment]),
        ("q=path:/pay+is:unresolved+%22did+not%22", vec![payment]),
        ("userId=42", vec![busy, payment]),
        ("userId=42&path=/pay&release=1.4.2", vec![payment]),
        ("tag.region=eu-west", vec![payment]),
        ("tag=region:eu-west", vec![payment]),
        ("q=tag.region:eu-west&type=database", vec![]),
        ("status=unresolved", vec![busy, payment]),
        ("status=muted,resolved", vec![]),
        ("q=locked%22%20OR%20%22", vec![]),
    ] {
        assert_eq!(messages(&client, query), expected, "{query}");
    }
    assert_eq!(
        messages(&client, &format!("group={}", pay["groupId"].as_str().expect("a group"))),
        [payment]
    );

    let counted = client
        .get("/api/monitoring/errors?userId=42&count=true&histogram=true&since=2025-01-01T10:00:00Z&until=2025-01-02T10:00:00Z&limit=1")
        .expect(200)
        .json();
    let buckets = counted["histogram"]["buckets"].as_array().expect("buckets");
    assert_eq!(
        (&counted["total"], &counted["histogram"]["interval"]),
        (&json!(2), &json!("15m")),
        "{counted}"
    );
    assert_eq!(buckets[0], json!({ "start": "2025-01-01T10:00:00.000Z", "count": 1 }));
    assert_eq!((buckets.len(), &buckets[6]["count"]), (96, &json!(1)));
    assert!(counted["totalIsAtLeast"].is_null());

    for (query, said) in [
        ("q=colour:red", "allowed are is, type, severity, group, path, userId"),
        ("q=is:open", "unresolved, resolved, muted, regressed"),
        ("group=17", "such as E-17"),
        ("tag=x", "NAME:value"),
        ("user=42", "userId, ip, requestId"),
        ("histogram=1", "true or false"),
    ] {
        let refused = client.get(&format!("/api/monitoring/errors?{query}")).expect(400);
        assert!(refused.text.contains(said), "{query}: {refused:?}");
    }

    // What was stored and not yet indexed when the service was killed is found after its next start.
    report(json!({ "message": "last words" }));
    server.kill();
    server.restart();
    assert_eq!(messages(&server.client(), "q=%22last+words%22"), ["last words"]);
}

#[test]
fn the_stream_tells_states_and_errors_and_ends_with_the_service() {
    let mut server = Server::start(&[]);
    let client = server.client();
    let mut stream = TcpStream::connect(server.url("").trim_start_matches("http://")).expect("connects");
    stream
        .write_all(b"GET /api/monitoring/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("sent");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.eq_ignore_ascii_case("content-type: text/event-stream")));
    assert!(lines.any(|line| line == "event:state"));
    client
        .post("/api/monitoring/errors", &json!({ "message": "seen live" }))
        .expect(201);
    assert!(lines.any(|line| line == "event:error"));
    assert!(lines.any(|line| line.starts_with("data:") && line.contains("seen live")));
    server.signal(rustix::process::Signal::TERM);
    assert!(
        lines.last().is_none_or(|line| line == "0" || line.is_empty()),
        "the stream ends in order"
    );
    assert!(server.wait().success());
}
